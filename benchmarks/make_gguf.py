# SPDX-License-Identifier: Apache-2.0
"""Writes a Llama checkpoint as GGUF files of llama.cpp's types, to measure llama.cpp on the same weights.

    pip install gguf llama-cpp-python
    python benchmarks/make_gguf.py CHECKPOINT -o OUT --types Q8_0,Q4_0,Q4_K_S,Q3_K_S,Q2_K

The tokenizer is left out: the files serve to measure speed. Types are llama.cpp's mixtures of that name.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray

from edgeq.checkpoint import Checkpoint

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OTHER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name: str) -> str:
    """The name that llama.cpp gives a tensor of a Llama checkpoint."""
    module, _, kind = name.rpartition(".")
    if module in OTHER_NAMES:
        return f"{OTHER_NAMES[module]}.{kind}"
    layer, _, inner = module.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{LAYER_NAMES[inner]}.{kind}"


def interleave_halves(weight: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of a head in the order of llama.cpp's rotary embedding: pairs side by side, not a half apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and values; matrices float16, vectors float32."""
    config = checkpoint.config
    for name in sorted(checkpoint.files):
        value = checkpoint.tensor(name).numpy()
        if name.endswith("q_proj.weight"):
            value = interleave_halves(value, config["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            value = interleave_halves(value, config["num_key_value_heads"])
        yield gguf_name(name), value.astype(np.float16 if value.ndim == 2 else np.float32)


def write_float16(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the unquantized file."""
    config, writer = checkpoint.config, gguf.GGUFWriter(path, "llama", use_temp_file=False)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, value in tensors(checkpoint):
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source: Path, target: Path, kind: str, threads: int) -> None:
    """Runs llama.cpp's own quantization."""
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    options.nthread = threads
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), options):
        raise SystemExit(f"llama.cpp cannot quantize to {kind}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="directory for the files")
    parser.add_argument("--types", default="Q8_0,Q4_0,Q4_K_S,Q3_K_S,Q2_K")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    source = arguments.output / "F16.gguf"
    write_float16(Checkpoint(arguments.checkpoint), source)
    for kind in arguments.types.split(","):
        quantize(source, arguments.output / f"{kind}.gguf", kind, arguments.threads)
        print(f"{kind}: {(arguments.output / f'{kind}.gguf').stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
