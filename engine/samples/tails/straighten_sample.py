"""How one sample is made: its context kept free of other mistakes, its tail straight, both proved by a replay."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.step_kind import careless, only_looks, refused
from engine.environment.replay import HOLDS, NOT_REFUTED, Replayer
from engine.environment.states import START
from engine.samples.lessons import changed_nothing, lesson_id
from engine.samples.sample import Sample, enough_for, replay_sample, splice_of, whole_splice
from engine.samples.splice import thought_turn
from engine.samples.tails.harmless import why_harmless
from engine.samples.tails.needed_steps import BAD, JOINED, LOOP, NOT_NEEDED, REFUSED, TOLERANCE, Ground, Way
from engine.samples.tails.tail import Cut, Tail, TailStep
from engine.samples.thoughts.quotes import Quotes, bare
from engine.verifiers.base import Judgement, StepVerifier, TextVerifier
from envs.base import EnvError

ENDED = "the episode is over after the wrong step"
NOTHING_LEFT = "nothing is left to gain after the wrong step"
NO_CLEAN_TAIL = "no clean way on from the wrong step"
"""Why a lesson gives no sample."""


def with_context(sample: Sample, ground: Ground) -> Sample:
    """Returns the sample without the other mistakes before its wrong step that changed nothing, where it holds without
    them: a Bad step that left the state as it was, or a loop with such a step."""
    tree = ground.tree
    before = splice_of(tree, replace(sample, cut=[])).bad[:-1]
    words = {judgement.step: judgement.word for judgement in sample.judgements}
    bad = {id for id in before if words.get(tree.nodes[id].depth) == "Bad"}
    gone = _in_vain(ground, before, bad) if bad else []
    if gone and not _still_wrong(sample, ground, gone):
        gone = []
    cut = []
    for place, id in enumerate(before):
        if id in gone:
            node = tree.nodes[id]
            refusal = refused(ground.environment, node.action, node.observation, node.results)
            reason = REFUSED if refusal else BAD if id in bad else LOOP
            cut.append(Cut("context", id, sum(other not in gone for other in before[:place]), reason))
    rest = [each for each in sample.cut if each.part != "context"]
    return replace(sample, cut=cut + rest, earlier=len(bad - set(gone)))


def _in_vain(ground: Ground, before: Sequence[int], bad: Collection[int]) -> list[int]:
    """Of some steps in a row those without which the state behind them is the same, Bad ones among them."""
    try:
        keyed = ground.keyed
        states = [ground.states.of_node(id) for id in before] if keyed else []
    except (EnvError, InputError):
        keyed = False
    if not keyed:
        return [id for id in before if id in bad and changed_nothing(ground, id)]
    gone: list[int] = []
    kept: list[tuple[int, int]] = []  # state after it, node
    for id, state in zip(before, states, strict=True):
        kept.append((state, id))
        places = [place for place, (after, _) in enumerate(kept[:-1]) if after == state]
        if state == START:
            places.insert(0, -1)
        for place in places:
            if any(node in bad for _, node in kept[place + 1 :]):
                gone += [node for _, node in kept[place + 1 :]]
                del kept[place + 1 :]
                break
    return gone


def _still_wrong(sample: Sample, ground: Ground, gone: Sequence[int]) -> bool:
    """Whether the wrong step, without these before it, is answered as it was, and judged no better."""
    nodes, states = ground.tree.nodes, ground.states
    try:
        *before, wrong = splice_of(ground.tree, replace(sample, cut=[])).bad
        at = states.walk([nodes[id].action for id in before if id not in gone])
        edge = states.step(at, nodes[wrong].action)
        judged = ground.judged(at, nodes[wrong].action, edge)
    except (EnvError, InputError):
        return False
    return edge.observation == nodes[wrong].observation and (judged is None or judged[0] == "Bad")


def straightened(sample: Sample, ground: Ground) -> Sample | str:
    """Returns the sample with a straight tail, or why there is none. Where the environment can't be asked, the good
    steps stay, and those that are known to be wrong are masked."""
    tree, states = ground.tree, ground.states
    parts = splice_of(tree, replace(sample, tail=None))
    moves = ground.moves(parts.good, tree.words_at(sample.good))
    never = tree.nodes[parts.bad[-1]].action if parts.bad else ""
    try:
        start, expected = START, sample.return_good
        for id in parts.bad:
            edge = states.step(start, tree.nodes[id].action)
            if edge.done:
                return ENDED
            if edge.score >= expected - TOLERANCE:
                return NOTHING_LEFT
            start = edge.to
        way = ground.straight(start, moves, expected, lambda score: enough_for(sample, score), never)
        judged = _judged(ground, start, moves, way)
    except (EnvError, InputError):
        if tree.attempts and parts.bad and tree.nodes[parts.bad[-1]].terminal == "done":
            return ENDED
        return _masked(sample, ground, moves, never)
    if way is None or (
        sample.merged and way.moves and _careless(ground, parts.bad, way.moves, 0)
    ):  # the thought is said by a trained turn
        return NO_CLEAN_TAIL
    return _with_way(sample, ground, parts.bad, moves, way, judged)


def straightened_repair(sample: Sample, ground: Ground, replayer: Replayer) -> Sample | None:
    """Returns the sample with the tail of a repair search, less its steps that are not needed, replayed; None where no
    clean tail is left.

    `sample`: with that tail. `ground`: makes tails. `replayer`: of the sample's tree.
    """
    tree, states, tail = ground.tree, ground.states, sample.tail
    assert tail is not None
    bad = splice_of(tree, sample).bad
    moves = [replace(step, node=None, loss=True) for step in tail.steps]
    try:
        start = states.walk([tree.nodes[id].action for id in bad])
        never = tree.nodes[bad[-1]].action
        way = ground.straight(start, moves, tail.score, lambda score: enough_for(sample, score), never)
    except (EnvError, InputError):
        return None
    if way is None:
        return None
    if way.joined:
        mended = _with_way(sample, ground, bad, moves, way, [])
    else:
        steps = [
            replace(move, loss=not _careless(ground, bad, way.moves, place)) for place, move in enumerate(way.moves)
        ]
        mended = replace(sample, tail=replace(tail, steps=steps, score=way.score), tail_judgements=[])
    mended = replace(mended, replay=None)
    mended = replace(mended, replay=replay_sample(tree, mended, replayer))
    return mended if mended.verdict in HOLDS else None


def _judged(ground: Ground, start: int, moves: Sequence[TailStep], way: Way | None) -> list[Judgement]:
    """What the verifier says of the good steps after the fork, each in the state in which its turn comes; where looking
    takes long, of those that stay."""
    kept = {move.node for move in way.moves} if way is not None else set()
    found, at = [], start
    for step, move in enumerate(moves, 1):
        if ground.timed and move.node not in kept:
            continue
        edge = ground.states.step(at, move.action)
        judged = ground.judged(at, move.action, edge)
        if judged is None:
            if not isinstance(ground.verifier, StepVerifier) or move.node is None:
                return []
            judged = ground.verifier.step_into(move.node)
        found.append(Judgement(step, *judged))
        if move.node in kept:
            at = edge.to
            if edge.done:
                break
    return found


def _with_way(
    sample: Sample, ground: Ground, bad: Sequence[int], moves: Sequence[TailStep], way: Way, judged: list[Judgement]
) -> Sample:
    tree = ground.tree
    kept = {move.node for move in way.moves}
    cut, standing = [], 0
    for place, move in enumerate(moves):
        if move.node in kept:
            standing += 1
        elif move.node is not None:
            reason = way.why.get(place, JOINED if way.joined else NOT_NEEDED)
            cut.append(Cut("tail", move.node, standing, reason))
    context = [each for each in sample.cut if each.part == "context"]
    tail = Tail(
        mark=sample.mark,
        steps=_texts(sample, ground, bad, way.moves),
        score=way.score,
        leaf=sample.good if way.leaf is None else way.leaf,
        made="joined" if way.joined else "straight",
    )
    assert tree.started is not None
    return replace(sample, tail=tail, cut=context + cut, tail_judgements=judged, replay=None)


def _texts(sample: Sample, ground: Ground, bad: Sequence[int], moves: Sequence[TailStep]) -> list[TailStep]:
    """The steps of a way; a thought that quotes what the trajectory does not show is left out."""
    tree = ground.tree
    assert tree.started is not None
    quotes = Quotes(tree)
    for message in tree.started.header:
        quotes.show(message.content)
    for id in bad:
        quotes.show_step(id)
    quotes.show(thought_turn(sample.thought))
    shown = {*bad, *(move.node for move in moves)}
    steps = []
    for place, move in enumerate(moves):
        response = move.response
        if move.node is not None:
            hidden = [id for id in tree.ancestors(move.node)[1:] if id not in shown]
            if hidden and quotes.stale(response, hidden, move.tool_calls):
                response = bare(response, move.tool_calls)
        quotes.show(f"{response}\n{move.action}" if move.tool_calls else response)
        quotes.show(move.observation)
        # one that only looks, did not do what it says or took too much, and has to stay, is masked
        clean = not only_looks(ground.environment, move.action) and not _careless(ground, bad, moves, place)
        steps.append(replace(move, response=response, loss=clean))
    return steps


def _careless(ground: Ground, bad: Sequence[int], moves: Sequence[TailStep], place: int) -> bool:
    """Whether one of the steps of a way that follows the bad ones is careless."""
    move, ahead = moves[place], [later.action for later in moves[place + 1 :]]
    behind = [(node.action, node.observation) for node in (ground.tree.nodes[id] for id in bad)]
    behind += [(before.action, before.observation) for before in moves[:place]]
    return careless(ground.environment, move.action, move.observation, move.results, ahead=ahead, behind=behind)


def _masked(sample: Sample, ground: Ground, moves: Sequence[TailStep], never: str) -> Sample:
    """The sample with its good steps as they are found; those that are known to be wrong are masked."""
    bad = splice_of(ground.tree, sample).bad
    steps, wrong = [], False
    for place, move in enumerate(moves):
        named = ground.environment
        doubt = refused(named, move.action, move.observation, move.results) or only_looks(named, move.action)
        doubt = doubt or _careless(ground, bad, moves, place)
        if not doubt and move.node is not None and isinstance(ground.verifier, StepVerifier):
            try:
                doubt = ground.verifier.step_into(move.node)[0] == "Bad"
            except (EnvError, InputError):
                doubt = False
        doubt = doubt or move.action == never
        wrong = wrong or doubt
        steps.append(replace(move, loss=not doubt))
    if not wrong:
        return replace(sample, tail=None, replay=None)
    tail = Tail(mark=sample.mark, steps=steps, score=sample.return_good, leaf=sample.good, made="straight")
    return replace(sample, tail=tail, replay=None)


def straight_good(sample: Sample, ground: Ground) -> Sample:
    """A good trajectory with only the steps that are needed; what can't go is masked."""
    made = straightened(sample, ground)
    if isinstance(made, Sample):
        return made
    moves = ground.moves(whole_splice(ground.tree, sample).good, ground.tree.words_at(sample.good))
    return _masked(sample, ground, moves, "")


def judged_by_text(sample: Sample, ground: Ground, replayer: Replayer) -> Sample | None:
    """Returns the sample with its tail judged by the texts of the splice, where the verifier can only do that, and
    without the Bad steps; None where it does not hold without them. Raises `WorkFailed`.

    `sample`: the sample. `ground`: holds the verifier. `replayer`: of the sample's tree.
    """
    tree, verifier = ground.tree, ground.verifier
    if not isinstance(verifier, TextVerifier) or sample.kind not in ("revision", "recovery"):
        return sample
    parts = splice_of(tree, sample)
    log = [(tree.nodes[id].action, tree.nodes[id].observation) for id in parts.bad]
    good = whole_splice(tree, sample).good
    place_of = {id: place for place, id in enumerate(good, 1)}
    tail = sample.tail
    steps = list(tail.steps) if tail is not None else ground.moves(good, tree.words_at(sample.good))
    kept: list[TailStep] = []
    judged: list[Judgement] = []
    cut = list(sample.cut)
    for step in steps:
        said = verifier.by_text(log, step.action, step.observation, place_of.get(step.node or 0, 0))
        if said.step:
            judged.append(said)
        if said.word == "Bad":
            if step.node is not None:
                cut.append(Cut("tail", step.node, len(kept), BAD))
            continue
        kept.append(step)
        log.append((step.action, step.observation))
    if len(kept) == len(steps):
        return replace(sample, tail_judgements=judged)
    whole = tail or Tail(mark=sample.mark, steps=[], score=sample.expected_return, leaf=sample.good, made="straight")
    shorter = replace(whole, steps=kept)
    changed = replace(sample, tail=shorter, cut=cut, tail_judgements=judged, replay=None)
    changed = replace(changed, replay=replay_sample(tree, changed, replayer))
    return changed if kept and changed.verdict in NOT_REFUTED else None


def with_lesson(sample: Sample, ground: Ground) -> Sample:
    """The sample with the lesson that it teaches and its wrong step."""
    parts = whole_splice(ground.tree, sample)
    if sample.mark is None or not parts.bad:
        return sample
    wrong = parts.bad[-1]
    harmless = why_harmless(ground.tree.nodes[wrong])
    return replace(sample, wrong=wrong, lesson=lesson_id(ground.tree, ground, wrong), harmless=harmless)


def plan_left(sample: Sample, ground: Ground) -> int | None:
    """Returns how many steps the environment's plan has left just after the wrong step; None where that is not
    known."""
    tree, states = ground.tree, ground.states
    try:
        if ground.judges and states.plans:
            at = states.walk([tree.nodes[id].action for id in splice_of(tree, sample).bad])
            return states.steps_left(at)
    except (EnvError, InputError):
        pass
    return None
