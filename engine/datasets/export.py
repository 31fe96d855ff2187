"""Export: from a run of `revise` and people's decisions to a dataset that a trainer loads as it is.

The export writes beside the dataset `OUT.provenance.jsonl` (where every record comes from), `OUT.report.json` (what was
left out or is odd), `OUT.card.md` and a configuration for the format's trainer. The same run, decisions, traces and
options give the same bytes. Records are streamed: one tree is in memory at a time, and records wait on disk for their
order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple
from unicodedata import category

import msgspec
from msgspec import structs

from engine.base.errors import InputError, unusable
from engine.base.untrusted_files import place_and_part
from engine.datasets.card import card
from engine.datasets.files import (
    PACKINGS,
    Outputs,
    Packing,
    Spool,
    Written,
    need_parquet,
    other_shards,
    packing_of,
    place_of,
    write_records,
)
from engine.datasets.formats import DATA_TYPES, FORMATS, DataType, Format, FormatOptions, data_type_of, format_named
from engine.datasets.formats.rules import RULES
from engine.datasets.mixing import mix_without_folders, mixed_records, parse_mix
from engine.datasets.options import DEFAULT_LENGTH, Exported, ExportOptions, Report
from engine.datasets.records import Records, encode
from engine.datasets.sample_choice import remedy_of, which_of
from engine.datasets.split import (
    WHOLE,
    Part,
    file_name,
    lines_to_mix,
    orders,
    parse_split,
    part_of,
    shard_bounds,
)
from engine.datasets.templates.markup import markup_named
from engine.datasets.templates.model_template import ModelTemplate, model_template
from engine.datasets.templates.tokens import Vocabulary
from engine.datasets.trainer_configs import (
    Dataset,
    configurations,
    own_template,
    unfit,
    unread_name,
    unread_packing,
)
from engine.datasets.trainer_configs.commands import command_in, other_commands
from engine.models.context_window import BYTES_A_TOKEN, estimate
from engine.review.agreement import defect_rate, read_planted
from engine.review.decisions import Decided, Decisions
from engine.workspace.workspace import Selection, Workspace

PLANTED = "planted"
"""Folder of a workspace that remembers what was planted among its samples."""

Progress = Callable[[int, int], None]
"""Called with the samples that are done, and with all there are."""


def export(
    workspace: Workspace,
    run: str | None,
    format: str,
    out: str | os.PathLike[str],
    *,
    data_type: DataType = "centric",
    all: bool = False,
    only_verified: bool = False,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> Exported:
    """Write a dataset, with its card, its report and the origin of each record beside it.

    Takes the accepted samples that hold in the environment; where nobody gave a verdict on any sample of this data type
    in the run, all samples that hold. Of one lesson it takes at most `options.per_lesson` samples, and of samples that
    are equal except for the thought, one. It takes no sample that trains a step which is refused, Bad or idle, or that
    repeats the disowned step. Where nothing is left, no file is written, unless `all` is asked for.

    `workspace`: holds runs and decisions. `run`: id of the run; None: the newest complete run of each trace of the
    workspace. `format`: name of the format. `out`: the file to write; a packed or split dataset takes its folder and
    name from it. `data_type`: `centric` (revision trajectories) or `good`. `all`: take every sample of the data type,
    duplicates and broken rules included. `only_verified`: take only samples with the replay verdict `verified`.
    `options`: parts, packing, limits, what a record holds. `progress`: called with the number of samples done, and the
    number of all.

    Raises `InputError` for an unknown run or format, unusable options, a missing trace, or (with `options.strict`) a
    broken rule; `WorkFailed` where the disk is full. After an error every file is as it was before, except that a
    refusal leaves its report.
    """
    chosen = format_named(format)
    if data_type not in DATA_TYPES:
        raise InputError(f"unknown data type {data_type!r}: one of {', '.join(DATA_TYPES)}")
    if data_type not in chosen.data_types:
        raise InputError(
            f"the format {format} holds no {data_type} trajectories: {' or '.join(chosen.data_types)} only"
        )
    model = model_template(options.for_model) if options.for_model else None
    making = format_options(chosen, options, model)
    if options.config and (reason := unfit(chosen.trainer, making.markup, options.loss_weight)):
        raise InputError(f"{reason}: --no-config writes the records without a configuration")
    layout = _layout(Path(out), chosen, options)
    mixes = parse_mix(options.mix) if options.mix else []
    loaded = workspace.select(run)
    decisions = Decisions(workspace.decisions)
    current = decisions.current()
    of_type = [sample for sample in loaded.samples if data_type_of(sample) == data_type]
    exported = Exported(
        out=str(layout.target),
        lines=0,
        dropped={},
        which=which_of(all, of_type, current),
        run=loaded.runs[0].id,
        runs=[info.id for info in loaded.runs],
        format=chosen.name,
        data_type=data_type,
        card=f"{layout.target}.card.md",
        provenance=f"{layout.target}.provenance.jsonl",
        report=f"{layout.target}.report.json",
        measured=_measured(options, making),
        defects=defect_rate(of_type, current).line,
        warnings=loaded.warnings + decisions.warnings + older_only(workspace, loaded, current, run),
    )
    for beside in (exported.card, exported.provenance, exported.report):
        place_and_part(Path(beside), follow=False)
    try:
        layout.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(layout.target.parent, error) from error
    records = Records(workspace, loaded, current, chosen, making, exported, only_verified, options.per_lesson)
    with Spool(layout.target.parent) as spool:
        for sample, record, origin in records.made(of_type, progress):
            part = part_of(sample.environment, sample.task, layout.parts, options.seed)
            spool.add(record, encode(msgspec.to_builtins(origin)), part)
        records.tell()
        if options.strict and records.broken:
            _refuse(exported, options, records)
        if not len(spool) and not all:
            others = len(loaded.samples) - len(of_type)
            exported.remedy = remedy_of(exported.dropped, records.stuck, data_type, others, only_verified)
            exported.left = str(layout.target) if layout.target.exists() else ""
            exported.card = exported.provenance = exported.report = ""
            return exported
        own, shares = sum(1 for part in spool.of_part if part == 0), sum(mix.share for mix in mixes)
        for mix in mixes:
            count = lines_to_mix(mix.share, own, shares - mix.share)
            for general, source in mixed_records(mix, count, options.seed, chosen, making, exported.warnings):
                spool.add(encode(general), encode(msgspec.to_builtins(source)), 0)
                exported.mixed += 1
        exported.lines = len(spool)
        with Outputs() as outputs:
            _write_dataset(spool, outputs, layout, exported, chosen, options)
            if options.config:
                _configure(outputs, exported, chosen, options, layout, making)
            exported.commands = exported.commands or other_commands(chosen.name, Path(exported.files[0].path).name)
            outputs.text(Path(exported.report), _report(exported, options, records))
            outputs.text(Path(exported.card), card(exported, loaded, chosen, options))
    return exported


def format_options(format: Format, options: ExportOptions, model: ModelTemplate | None = None) -> FormatOptions:
    """Returns how a format makes its records.

    `format`: the format. `options`: of the export. `model`: the template of the model to train; None: not known.

    Raises `InputError` for options that the format does not know, or a missing package.
    """
    for name, value, formats in (
        ("--loss-weight", options.loss_weight, ("sharegpt",)),
        ("--first-step", options.first_step, ("trl-dpo",)),
        ("--reasoning", options.reasoning, tuple(each.name for each in FORMATS.values() if each.thinks)),
    ):
        if value and format.name not in formats:
            raise InputError(f"{name} belongs to the format {' or '.join(formats)}, not to {format.name}")
    if model is not None and options.chat_template != "chatml":
        raise InputError("--for-model decides the chat template: leave --chat-template out")
    if options.control_tokens not in ("report", "escape"):
        raise InputError(f"--control-tokens {options.control_tokens}: one of report, escape")
    markup = model.markup if model is not None else markup_named(options.chat_template)
    vocabulary = Vocabulary(options.tokenizer, markup) if options.tokenizer else None
    counting = vocabulary
    if model is not None and model.tokenizer is not None and options.max_length is not None and counting is None:
        counting = Vocabulary(model.tokenizer, markup)
    return FormatOptions(
        max_length=options.max_length,
        measure=counting.measure if counting is not None else estimate,
        markup=markup,
        vocabulary=vocabulary,
        loss_weight=options.loss_weight,
        first_step=options.first_step,
        no_system=options.no_system,
        trim=model is not None and markup.trim,
        escape=options.control_tokens == "escape",
        redact=options.redact,
        reasoning=options.reasoning,
    )


def _measured(options: ExportOptions, making: FormatOptions) -> str:
    name = making.markup.name
    if options.tokenizer:
        return f"with {Path(options.tokenizer).name}, in the chat template {name}"
    if options.max_length is None:
        return ""
    if making.measure is not estimate:
        return f"with the tokenizer of {name}, in its chat template"
    return f"estimated, a token for every {BYTES_A_TOKEN} bytes, in the chat template {name}"


class Layout(NamedTuple):
    """The files that a dataset is written to."""

    target: Path  # what their names are made of; sidecars are named after it
    packing: Packing
    ending: str  # of the files' names
    parts: tuple[Part, ...]


def _layout(out: Path, format: Format, options: ExportOptions) -> Layout:
    """Where the dataset goes. Raises `InputError`."""
    place_and_part(out, follow=True)  # it must be a place for a file
    if any(category(sign) in ("Cc", "Zl", "Zp", "Cs") for sign in out.name):
        raise InputError(f"--out {out.name!a}: holds a control character: choose another name")
    if options.compress is not None and options.compress not in PACKINGS:
        raise InputError(f"--compress {options.compress}: one of {', '.join(PACKINGS)}")
    if options.shards < 1:
        raise InputError(f"--shards {options.shards}: at least 1")
    if options.max_length is not None and options.max_length < 1:
        raise InputError(f"--max-length {options.max_length}: at least 1")
    packing = packing_of(out, options.compress)
    if packing == "parquet":
        if not format.columns:
            raise InputError(f"the format {format.name} does not fit into columns: it can't be written as Parquet")
        need_parquet()
    target, ending = place_of(out, packing, format.extension)
    place_and_part(target, follow=True)
    return Layout(target, packing, ending, parse_split(options.split) if options.split else WHOLE)


def _refuse(exported: Exported, options: ExportOptions, records: Records) -> None:
    """Leave the report and raise."""
    with Outputs() as outputs:
        outputs.text(Path(exported.report), _report(exported, options, records, refused=True))
    counted = ", ".join(f"{count} {reason}" for reason, count in sorted(records.broken.items()))
    raise InputError(
        f"{exported.out}: refused by --strict ({counted}): nothing was written but {exported.report}, which names them"
    )


def older_only(workspace: Workspace, chosen: Selection, current: Mapping[str, Decided], run: str | None) -> list[str]:
    """Returns a line where accepted samples are in no newest run, and so would be missing without a word; else no line.

    `workspace`: holds the planted samples. `chosen`: the newest runs and their samples. `current`: the decisions in
    force, by sample id. `run`: the run that the user named, which gives no line; None: the newest ones.
    """
    if run is not None:
        return []
    known = {sample.id for sample in chosen.samples}
    known |= {planted.id for planted in read_planted(workspace.path / PLANTED)}
    lost = sum(decided.verdict == "accepted" and sample not in known for sample, decided in current.items())
    if not lost:
        return []
    return [f"{lost} accepted samples are not in the newest run of their trace: --run names an older one"]


def _report(exported: Exported, options: ExportOptions, records: Records, refused: bool = False) -> str:
    report = Report(
        exported=_without_folders(exported),
        options=structs.replace(options, mix=mix_without_folders(options.mix), tokenizer=_name_of(options.tokenizer)),
        refused=refused,
        rules=list(RULES),
        issues=records.issues,
        more_issues=records.more_issues,
    )
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def _without_folders(exported: Exported) -> Exported:
    """The same with names of files alone: they all stand in one folder, and what that is called says nothing."""
    return structs.replace(
        exported,
        out=_name_of(exported.out),
        card=_name_of(exported.card),
        provenance=_name_of(exported.provenance),
        report=_name_of(exported.report),
        files=[structs.replace(file, path=_name_of(file.path)) for file in exported.files],
        configs=[_name_of(path) for path in exported.configs],
    )


def _name_of(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _write_dataset(
    spool: Spool, outputs: Outputs, layout: Layout, exported: Exported, format: Format, options: ExportOptions
) -> None:
    """Write the files of the dataset, and where each record comes from."""
    parts, target, out = layout.parts, layout.target, Path(exported.out)
    shuffle = bool(options.mix) if options.shuffle is None else options.shuffle
    per_part = orders(spool.of_part, len(parts), shuffle, options.seed)
    exported.parts = {part.name: len(order) for part, order in zip(parts, per_part, strict=True) if part.name}
    empty = [name for name, count in exported.parts.items() if not count and exported.lines]
    exported.warnings += [f"the part {name} is empty: no task fell into it" for name in empty]
    with outputs.opened(Path(exported.provenance)) as origins:
        for part, order in zip(parts, per_part, strict=True):
            for shard, (begin, end) in enumerate(shard_bounds(len(order), options.shards), 1):
                path = target.with_name(file_name(target.name, layout.ending, part.name, shard, options.shards))
                lines = _told(spool, order[begin:end], path.name, origins)
                with outputs.opened(path, last=True, follow=path == out) as stream:
                    count, checksum, size = write_records(stream, lines, layout.packing, format.array)
                exported.files.append(
                    Written(path=str(path), part=part.name, lines=count, size=size, checksum=checksum)
                )
    exported.checksum = exported.files[0].checksum if len(exported.files) == 1 else ""
    strangers = other_shards([Path(file.path) for file in exported.files], target)
    if strangers:
        exported.warnings.append(f"shards of another export stand beside it: {', '.join(strangers[:3])}")


def _told(spool: Spool, order: Sequence[int], name: str, origins: BinaryIO) -> Iterator[bytes]:
    """The records of a file; where each comes from is written as it passes."""
    file = encode(name)
    for number, index in enumerate(order, 1):
        record, origin = spool.read(index)
        origins.write(b'{"line": %d, "file": %s, ' % (number, file) + origin[1:] + b"\n")
        yield record


def _configure(
    outputs: Outputs,
    exported: Exported,
    format: Format,
    options: ExportOptions,
    layout: Layout,
    making: FormatOptions,
) -> None:
    """Write the configurations for the format's trainer."""
    names = [Path(file.path).name for file in exported.files]
    unread = unread_packing(format.trainer, layout.packing) or unread_name(format.trainer, names)
    if unread:
        exported.warnings.append(unread)
        return
    if (options.for_model or exported.calling) and (
        told := own_template(format.trainer, making.markup, bool(exported.calling))
    ):
        exported.warnings.append(told)
    dataset = Dataset(
        base=layout.target.name,
        parts=[part.name for part in layout.parts],
        files=[(Path(file.path).name, file.part) for file in exported.files if file.lines],
        packing=layout.packing,
        max_length=options.max_length or DEFAULT_LENGTH,
        markup=making.markup,
        tokenized=bool(options.tokenizer) and format.name == "trl-sft",
        loss_weight=options.loss_weight,
        thinks=options.reasoning,
        calls=bool(exported.calling) and format.calls == "native",
    )
    for name, text in configurations(format.trainer, dataset):
        path = layout.target.parent / name
        outputs.text(path, text)
        exported.configs.append(str(path))
        exported.commands += command_in(text)
