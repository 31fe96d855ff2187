"""The options of an export, and its result."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from engine.datasets.files import Packing, Written
from engine.datasets.formats import DataType
from engine.samples.trained import Trained

Which = Literal["accepted", "all that hold", "all"]
DEFAULT_LENGTH = 4096  # tokens; in trainers' configurations where no length was asked for


class ExportOptions(Struct, kw_only=True, frozen=True):
    """How a dataset is made of the chosen records. Each field is an option of `agentr export`."""

    split: str = ""  # `train=0.9,dev=0.1`: parts by task; "" keeps it whole
    mix: str = ""  # `general.jsonl:0.2`: another dataset's lines, as a share of the first part
    shuffle: bool | None = None  # None: where something is mixed in
    seed: int = 0  # of the split, the choice of lines to mix, the order
    shards: Annotated[int, Meta(ge=1)] = 1  # files a part
    compress: Packing | None = None  # None: as the name of the file says (.gz, .parquet)
    max_length: Annotated[int, Meta(ge=1)] | None = None  # tokens a record
    tokenizer: str = ""  # a tokenizer.json: tokens are counted with it, and `trl-sft` writes token ids
    chat_template: str = "chatml"  # in which tokens are counted
    for_model: str = ""  # a tokenizer's folder, a model in a local cache, or a family: whose template records follow
    no_system: bool = False  # the system's text at the head of the first user turn
    redact: bool = False  # take out of texts what looks like a key, in place of leaving the sample out
    control_tokens: Literal["report", "escape"] = "report"  # of chat templates, in texts
    reasoning: bool = False  # write what the model thought before a trained turn
    loss_weight: bool = False  # `sharegpt`
    first_step: bool = False  # `trl-dpo`
    per_lesson: Annotated[int, Meta(ge=0)] = 1  # samples of one lesson over all runs; 0: all
    strict: bool = False  # refuse the whole export where a rule is broken
    config: bool = True  # write a configuration for the format's trainer
    licence: str = ""  # of the dataset, for the card


class Lessons(Struct, kw_only=True):
    """What the written samples teach, and how they differ."""

    distinct: int = 0  # lessons: a wrong action in a state of a task
    wrong_actions: int = 0  # that differ, over all tasks
    depths: dict[int, int] = {}  # the wrong step's place → samples
    earlier: dict[int, int] = {}  # earlier mistakes in the context → samples
    tails: int = 0  # steps of all tails whose plan is known
    plans: int = 0  # steps that the plan had left at these marks
    exact: int = 0  # samples that repeat another in all but the thought
    near: int | None = 0  # samples that are alike (`engine.samples.duplicates`); None: not counted
    named: int = 0  # samples whose thought names the mistake

    @property
    def ratio(self) -> float | None:
        """Tail length beside the plan's: 1 is as short as can be. None where no plan is known."""
        return self.tails / self.plans if self.plans else None


class Exported(Struct, kw_only=True):
    """What an export wrote and what it left out."""

    out: str  # the dataset; where it has several files, what their names are made of
    lines: int  # records
    dropped: dict[str, int]  # reason → samples left out
    which: Which  # the rule by which samples were chosen
    run: str  # the newest, where samples are of several
    format: str
    data_type: DataType
    card: str  # path of the dataset card
    provenance: str  # path of the file that says where every record comes from
    report: str = ""  # path of the report
    samples: int = 0  # that were written; some formats make several records of one
    calling: int = 0  # of them: those whose agent calls tools
    mixed: int = 0  # records of another dataset, of all
    files: list[Written] = []
    configs: list[str] = []  # paths of trainers' configurations
    redacted: int = 0  # strings that look like keys and were taken out of texts
    problems: dict[str, int] = {}  # only with `all`: samples that were written although a rule is broken
    warned: dict[str, int] = {}  # samples that were written although something is odd
    verdicts: dict[str, int] = {}  # replay verdict → samples
    seams: dict[str, int] = {}  # what a model said of seams that nobody replayed → samples
    sources: dict[str, int] = {}  # path of a trace → samples
    environments: dict[str, int] = {}  # → samples
    models: dict[str, int] = {}  # who proposed the steps → samples
    reviewers: dict[str, int] = {}  # → samples they gave a verdict on
    writers: dict[str, int] = {}  # people who wrote steps in a search → samples with such steps
    defects: str = ""  # the defect rate that reviewing showed, of all samples of the data type in the run
    parts: dict[str, int] = {}  # part of a split → records
    distinct: int = 0  # samples that differ in more than the revision thought
    longest: int = 0  # tokens of the longest trajectory, where they were counted
    measured: str = ""  # how tokens were counted
    runs: list[str] = []  # runs of `revise` that samples are of, the newest first
    trained: Trained = field(default_factory=Trained)
    lessons: Lessons = field(default_factory=Lessons)
    commands: list[str] = []  # that train on it, in its folder; or, in words, what reads it
    remedy: str = ""  # where nothing was written: what would give lines
    left: str = ""  # an older file of that name, which stays since nothing was written
    checksum: str = ""  # SHA-256 of the dataset, where it is one file
    warnings: list[str] = []

    @property
    def factor(self) -> float:
        """Records a sample."""
        return (self.lines - self.mixed) / self.samples if self.samples else 1.0


class Issue(Struct, kw_only=True):
    """A sample that was left out for a broken rule, or written with one or a warning; for the report."""

    sample: str
    path: str
    task: str
    written: bool
    problems: list[str]
    warnings: list[str] = []


class Report(Struct, kw_only=True):
    """The report of an export, `OUT.report.json`."""

    exported: Exported
    options: ExportOptions
    refused: bool  # nothing was written, since `strict` was asked for and a rule is broken
    rules: list[str]  # what was checked of each record
    issues: list[Issue]
    more_issues: int = 0  # that are only counted
