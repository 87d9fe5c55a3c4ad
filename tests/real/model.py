"""Writes SmolLM2-135M-Instruct as a directory that vLLM and transformers load, from the weights that llama.cpp reads."""

import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

gguf, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
model = AutoModelForCausalLM.from_pretrained(
    gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True)
).to(torch.bfloat16)
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
tokenizer.save_pretrained(directory)
model.save_pretrained(directory)
