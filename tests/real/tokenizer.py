"""Writes SmolLM2's tokenizer as a directory that transformers load, from the weights that llama.cpp reads."""

import sys

import gguf
import tokenizers
from tokenizers import decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CONTROL = 3  # The type of the tokens that no text contains.


def field(name: str) -> list:
    return reader.fields[f"tokenizer.ggml.{name}"].contents()


reader = gguf.GGUFReader(sys.argv[1])
tokens, types = field("tokens"), field("token_type")
merges = [tuple(merge.split(" ")) for merge in field("merges")]
tokenizer = tokenizers.Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens([token for token, kind in zip(tokens, types) if kind == CONTROL])
end = tokens[field("eos_token_id")]
PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, pad_token=end).save_pretrained(sys.argv[2])
