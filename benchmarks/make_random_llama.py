# SPDX-License-Identifier: Apache-2.0
"""Writes a Llama checkpoint with random weights, to measure speed and memory on shapes whose weights are not at hand.

    python benchmarks/make_random_llama.py OUT                     # the shapes of TinyLlama-1.1B
    python benchmarks/make_random_llama.py OUT --layers 2 --hidden 256 --heads 8 --kv-heads 4 --ffn 512 --vocab 1000

The tensors are float16, drawn from a normal distribution with standard deviation 0.02; equal arguments, equal files.
One layer is in memory at a time. The tokenizer is byte-level with filler tokens up to the vocabulary's size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

DEVIATION = 0.02
BOS, EOS = "<s>", "</s>"
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shapes:
    """Sizes of a Llama; the defaults are TinyLlama-1.1B's."""

    hidden: int = 2048
    layers: int = 22
    heads: int = 32
    kv_heads: int = 4
    ffn: int = 5632
    vocab: int = 32000
    context: int = 2048
    tied: bool = False

    def block(self, layer: int) -> dict[str, Shape]:
        """Tensor shapes of one decoder block."""
        prefix, kv = f"model.layers.{layer}", self.hidden // self.heads * self.kv_heads
        return {
            f"{prefix}.input_layernorm.weight": (self.hidden,),
            f"{prefix}.self_attn.q_proj.weight": (self.hidden, self.hidden),
            f"{prefix}.self_attn.k_proj.weight": (kv, self.hidden),
            f"{prefix}.self_attn.v_proj.weight": (kv, self.hidden),
            f"{prefix}.self_attn.o_proj.weight": (self.hidden, self.hidden),
            f"{prefix}.post_attention_layernorm.weight": (self.hidden,),
            f"{prefix}.mlp.gate_proj.weight": (self.ffn, self.hidden),
            f"{prefix}.mlp.up_proj.weight": (self.ffn, self.hidden),
            f"{prefix}.mlp.down_proj.weight": (self.hidden, self.ffn),
        }

    def shards(self) -> Iterator[dict[str, Shape]]:
        """Tensor shapes of each file: the embedding, every block, the end."""
        yield {"model.embed_tokens.weight": (self.vocab, self.hidden)}
        for layer in range(self.layers):
            yield self.block(layer)
        head = {} if self.tied else {"lm_head.weight": (self.vocab, self.hidden)}
        yield {"model.norm.weight": (self.hidden,), **head}


def random_tensor(shape: Shape, rng: np.random.Generator) -> NDArray[np.float16]:
    """Normal weights for a matrix, ones for a norm."""
    if len(shape) == 1:
        return np.ones(shape, np.float16)
    values = rng.standard_normal(shape, dtype=np.float32)
    values *= DEVIATION
    return values.astype(np.float16)


def write_weights(shapes: Shapes, directory: Path, seed: int) -> int:
    """Writes the shards and their index; returns the number of parameters."""
    rng, shards = np.random.default_rng(seed), list(shapes.shards())
    index: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({key: random_tensor(shape, rng) for key, shape in shard.items()}, directory / name, {"format": "pt"})
        index.update(dict.fromkeys(shard, name))
    parameters = sum(int(np.prod(shape)) for shard in shards for shape in shard.values())
    document = {"metadata": {"total_size": 2 * parameters}, "weight_map": index}
    (directory / "model.safetensors.index.json").write_text(json.dumps(document, indent=1))
    return parameters


def write_config(shapes: Shapes, directory: Path) -> None:
    """Writes config.json as transformers reads it."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shapes.hidden,
        "intermediate_size": shapes.ffn,
        "num_hidden_layers": shapes.layers,
        "num_attention_heads": shapes.heads,
        "num_key_value_heads": shapes.kv_heads,
        "vocab_size": shapes.vocab,
        "max_position_embeddings": shapes.context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": shapes.tied,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "float16",
    }
    (directory / "config.json").write_text(json.dumps(config, indent=1))


def write_tokenizer(vocabulary: int, directory: Path) -> None:
    """Writes a byte-level tokenizer with exactly ``vocabulary`` tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [BOS, EOS, *alphabet]
    if vocabulary < len(tokens):
        raise SystemExit(
            f"--vocab {vocabulary}: at least {len(tokens)} are needed for the bytes and the special tokens"
        )
    tokens += [f"<filler_{number}>" for number in range(len(tokens), vocabulary)]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(BOS, special=True), AddedToken(EOS, special=True)])
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "model_max_length": 2048,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    for name in ("hidden", "layers", "heads", "kv_heads", "ffn", "vocab", "context"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Shapes, name))
    parser.add_argument("--tied", action="store_true", help="share the embedding with the head")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    arguments = vars(parse_arguments())
    output, seed = arguments.pop("output"), arguments.pop("seed")
    shapes = Shapes(**arguments)
    output.mkdir(parents=True)
    write_tokenizer(shapes.vocab, output)
    write_config(shapes, output)
    parameters = write_weights(shapes, output, seed)
    print("| model | parameters | float16 |\n| ----- | ---------: | ------: |")
    print(f"| {output} | {parameters / 1e9:.3f} B | {2 * parameters / 1e9:.2f} GB |")


if __name__ == "__main__":
    main()
