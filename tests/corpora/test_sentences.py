import numpy as np

from csc_cli.corpora import sentences
from csc_cli.corpora.sentences import COUNT, sentence
from csc_cli.corpora.synth import Speaker


def test_numbers_and_sentences_are_one_to_one():
    # A one-to-one map of a set that large onto itself meets 30,000 numbers, near and far, without a repeat.
    numbers = {*range(10_000), *range(COUNT - 10_000, COUNT), *np.random.default_rng(0).integers(COUNT, size=10_000)}
    assert len({sentence(3, int(number)) for number in numbers}) == len(numbers)


def test_scrambling_can_be_undone():
    assert COUNT == 2**sentences._BITS  # what the odd multipliers and the shifted exclusive or rest on


def test_words_of_a_slot_are_told_apart_by_the_text():
    for slot in sentences._SLOTS:
        assert len(set(slot)) == len(slot)
    # No choice is the beginning of another with a word of the next slot, so a text has one reading.
    for slot, following in zip(sentences._SLOTS, sentences._SLOTS[1:], strict=False):
        for short in slot:
            for long in slot:
                if long.startswith(short + " "):
                    assert not any(long[len(short) + 1 :].startswith(word) for word in following)


def test_the_seed_chooses_the_sentences():
    assert {sentence(0, number) for number in range(500)}.isdisjoint(sentence(1, number) for number in range(500))


def test_no_sentence_is_used_twice_in_a_corpus():
    speakers = [Speaker(part, number) for part in ("train", "dev", "test") for number in range(100)]
    texts = [speaker.sentence(0, utterance) for speaker in speakers for utterance in range(20)]
    assert len(set(texts)) == len(texts)
    edges = [Speaker("train", 0).sentence(0, 999), Speaker("train", 1).sentence(0, 0)]
    assert len(set(edges)) == 2
