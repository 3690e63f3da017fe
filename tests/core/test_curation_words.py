"""Nouns of captions: literal, singular, where they stand; and what extractors say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_published
from drawn_clips import drawn

from tora2.curation.candidate import Noun
from tora2.curation.language.instruct import InstructNouns, parse_answer
from tora2.curation.language.words import Named, Refused, bare, choose, is_plural, is_several, spans
from tora2.curation.stages.nouns import Config, Nouns, build

CAPTION = "A young woman throws a tennis ball to her dog, and the Dog catches the ball in a park."


def subject(*words: str) -> list[Named]:
    return [Named(word, "subject") for word in words]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dog", [(42, 45), (55, 58)]),
        ("tennis ball", [(23, 34)]),
        ("tennis  BALL", [(23, 34)]),
        ("ball", [(30, 34), (71, 75)]),
        ("do", []),
        ("dogs", []),
        ("the ball.", []),
        (" ", []),
    ],
)
def test_spans_are_whole_words_of_the_caption(word: str, expected: list[tuple[int, int]]) -> None:
    assert list(spans(CAPTION, word)) == expected


def test_a_hyphenated_word_is_another_word() -> None:
    assert list(spans("a hot-dog and a dog", "dog")) == [(16, 19)]
    assert list(spans("c++ (code) a.b", "c++")) == [(0, 3)]


@pytest.mark.parametrize(
    "word",
    "dogs boxes cities wolves men women policewomen children people feet mice geese horses shoes "
    "glasses buses potatoes fishermen".split(),
)
def test_plurals(word: str) -> None:
    assert is_plural(word) and is_plural(word.capitalize())


@pytest.mark.parametrize(
    "word",
    "dog box city wolf man woman child person bus gas glass dress grass lens cactus tennis news "
    "walrus chess canvas octopus princess waitress fish sheep specimen boss yes as iris".split(),
)
def test_singulars(word: str) -> None:
    assert not is_plural(word)


@pytest.mark.parametrize(
    ("caption", "word", "several"),
    [
        ("two deer graze", "deer", True),
        ("a deer grazes", "deer", False),
        ("3 fish swim", "fish", True),
        ("1 fish swims", "fish", False),
        ("a flock of sheep", "sheep", True),
        ("several sheep", "sheep", True),
        ("There are two. A sheep sleeps", "sheep", False),
        ("a group plays", "group", True),
        ("the red cars", "red cars", True),
    ],
)
def test_several_things_by_form_and_by_number(caption: str, word: str, several: bool) -> None:
    (span,) = spans(caption, word)
    assert is_several(caption, span) is several


def test_articles_and_possessives_are_no_part_of_a_noun() -> None:
    assert bare(" the red ball. ") == "red ball"
    assert bare("her dog,") == "dog"
    assert bare("a") == "a"


def test_what_is_chosen_is_literal_and_in_the_captions_order() -> None:
    named = [
        Named("a dog", "object"),
        Named("ball", "object"),
        Named("tennis ball", "object"),
        Named("woman", "subject"),
        Named("park", "background"),
        Named("frisbee", "object"),
    ]
    assert choose(CAPTION, named) == (
        Noun("woman", (8, 13), "human"),
        Noun("tennis ball", (23, 34), "object"),
        Noun("dog", (42, 45), "object"),
        Noun("ball", (71, 75), "object"),
    )


def test_a_noun_keeps_the_captions_spelling() -> None:
    assert choose("The Dog runs", subject("dog")) == (Noun("Dog", (4, 7), "object"),)


def test_plural_subjects_drop_a_clip_and_plural_objects_are_left_out() -> None:
    caption = "Two dogs chase a cat with balls"
    with pytest.raises(Refused, match="its subject 'dogs' is in plural"):
        choose(caption, [*subject("dogs"), Named("cat", "object")])
    chosen = choose(caption, [*subject("cat"), Named("balls", "object")])
    assert [noun.word for noun in chosen] == ["cat"]
    with pytest.raises(Refused, match="its subject 'sheep' is in plural"):
        choose("The sheep graze", [Named("sheep", "subject", plural=True)])


def test_a_clip_needs_a_subject() -> None:
    for named in ([], [Named("ball", "object")], subject("frisbee"), [Named("park", "background")]):
        with pytest.raises(Refused, match="no subject word occurs literally"):
            choose(CAPTION, named)


def test_an_answers_json_is_found_in_what_is_said_around_it() -> None:
    answer = 'Sure {here}! ```{"subject": ["dog"], "object": ["ball"], "background": []}``` Done.'
    assert parse_answer(answer) == (Named("dog", "subject"), Named("ball", "object"))
    assert parse_answer('{"subject": []}') == ()
    for wrong in ("", "no JSON", '{"nouns": ["dog"]}', "[" * 5000 + "{" * 5000):
        with pytest.raises(ValueError, match="expected JSON of nouns"):
            parse_answer(wrong)
    with pytest.raises(ValueError, match="subject is 'dog', expected texts"):
        parse_answer('{"subject": "dog"}')


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.instruct(tmp_path_factory.mktemp("instruct"))


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_published.captioner(tmp_path_factory.mktemp("captioner"))


VIDEO = np.random.default_rng(0).integers(0, 255, (16, 60, 80, 3)).astype(np.uint8)


def test_an_instruction_model_runs_and_its_answer_is_read(
    instruct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = build(Config(model=str(instruct), device="cpu"))
    assert stage.needs() == [] and stage.resources.memory > 1 << 30
    stage.open()
    assert isinstance(stage.extractor, InstructNouns)
    stage.extractor.most_tokens = 8
    candidate = drawn(VIDEO, "a red ball rolls")
    with pytest.raises(ValueError, match="the instruction model answered"):
        stage(candidate)
    said = '{"subject": ["red ball"], "object": []}'
    monkeypatch.setattr(
        stage.extractor.chat, "answer", lambda prompt: said if CAPTION in prompt else ""
    )
    with pytest.raises(ValueError, match="expected JSON"):
        stage(candidate)
    (dropped,) = stage(replace(candidate, caption=CAPTION))
    assert dropped.dropped_by == "nouns" and "no subject word" in str(dropped.reason)


def test_a_caption_is_written_where_none_is(instruct: Path, captioner: Path) -> None:
    config = Config(model=str(instruct), captioner=str(captioner), device="cpu")
    stage = build(config)
    assert stage.needs() == []
    stage.open()
    assert stage.captioner is not None
    stage.captioner.most_tokens = 8
    caption = stage.captioner.caption(drawn(VIDEO))
    assert caption == " ".join(caption.split()) and caption.isprintable()
    without = build(Config(model=str(instruct), device="cpu"))
    without.open()
    (dropped,) = without(drawn(VIDEO))
    assert dropped.reason == "it has no caption, and nothing described it"


def test_spacy_finds_runs_of_nouns(tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    stage = build(Config(extractor="spacy", model=str(tiny_published.tagger(tmp_path / "en"))))
    assert stage.needs() == [] and stage.resources.gpus == 0
    stage.open()
    (kept,) = stage(drawn(VIDEO, "A tennis ball flies past a woman on the grass."))
    assert kept.kept and kept.scores["nouns"] == 2
    assert kept.nouns == (Noun("tennis ball", (2, 13)), Noun("woman", (27, 32), "human"))
    (dropped,) = stage(drawn(VIDEO, "The dogs chase a ball."))
    assert dropped.reason == "its subject 'dogs' is in plural, expected one of each thing"


def test_absent_models_are_named_with_where_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    needs = Nouns(Config(captioner="search")).needs()
    assert len(needs) == 2
    assert "Qwen2.5-7B-Instruct (15.2 GB, Apache-2.0): searched in" in needs[0]
    assert "huggingface.co/Qwen/Qwen2.5-7B-Instruct" in needs[0]
    assert "huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct" in needs[1]
    (need,) = Nouns(Config(extractor="spacy", model="elsewhere")).needs()
    assert "searched in elsewhere, which has no meta.json" in need
    stage = Nouns(Config(model=str(tmp_path)))
    with pytest.raises(ValueError, match="has no config.json"):
        stage.open()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded .*expected an instruction model"):
        stage.open()
