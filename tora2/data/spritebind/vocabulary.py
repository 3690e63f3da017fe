"""SpriteBind's words, and a tokenizer that knows no others."""

from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

from .sprites import BACKGROUNDS, SHAPES

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
_GRAMMAR = ("a", "an", "the", "and", "with", "one", "another", ",", ".")


def vocabulary() -> list[str]:
    """Every word that captions hold, after T5's three special tokens."""
    places = sorted({word for phrase in BACKGROUNDS for word in phrase.split()})
    return list(dict.fromkeys([PAD, END, UNKNOWN, *_GRAMMAR, *places, *SHAPES]))


def make_tokenizer(length: int) -> Any:
    """A word-level tokenizer with T5's special ids: pad 0, end 1, unknown 2."""
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, words[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=length,
    )
