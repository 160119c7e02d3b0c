# SPDX-License-Identifier: Apache-2.0
"""``edgeq eval``: the quality of a bundle, alone or against the original."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgeq.cli import evaluate_options as options
from edgeq.cli.console import print_json, progress_bars, stdout
from edgeq.cli.options import AsJson, Bundle, HugePages, Library, Threads, Verify
from edgeq.errors import EdgeqError

if TYPE_CHECKING:
    from edgeq.evaluation.measure import LanguageReport, SimilarityReport


def command(
    bundle: Bundle,
    text: options.Text = None,
    sts: options.Sts = None,
    against: options.Against = None,
    window: options.Window = None,
    windows: options.Windows = None,
    limit: options.Limit = None,
    threads: Threads = None,
    library: Library = None,
    verify: Verify = True,
    huge_pages: HugePages = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a bundle: perplexity on a text, or similarity of sentences.

    The text is tokenized as a whole and cut into windows side by side; a rest shorter than a window is left out.
    In each window the first token is given and the others are predicted.
    """
    if (text is None) == (sts is None):
        raise EdgeqError("nothing to evaluate on", field="--text", wanted="either --text FILE or --sts FILE")
    from edgeq.evaluation.measure import Setup, measure_language, measure_similarity

    setup = Setup(bundle, against, threads, library, verify)
    if text is not None:
        with _bars(as_json) as progress:
            language = measure_language(setup, text, window, windows, limit, progress)
        print_json(asdict(language)) if as_json else _print_language(language)
    elif sts is not None:
        similarity = measure_similarity(setup, sts)
        print_json(asdict(similarity)) if as_json else _print_similarity(similarity)


@contextmanager
def _bars(quiet: bool) -> Iterator[Any]:
    if quiet:
        yield None
    else:
        with progress_bars() as progress:
            yield progress


def _print_language(report: LanguageReport) -> None:
    rows = [(report.bundle, report.quality)]
    if report.comparison:
        rows.append((report.against or "", report.comparison.reference))
    width = max(len(name) for name, _ in rows)
    lines = [
        f"{report.text}: {report.windows} windows of {report.window} tokens, stride {report.window}, "
        f"{report.predicted_tokens} tokens predicted ({report.predicted_bytes} bytes)",
        f"{'':{width}}  {'nats/token':>10}  {'perplexity':>10}  {'bits/byte':>9}",
    ]
    lines += [f"{name:{width}}  {q.loss:10.4f}  {q.perplexity:10.4g}  {q.bits_per_byte:9.4f}" for name, q in rows]
    if report.comparison:
        c = report.comparison
        lines.append(
            f"difference {c.loss_difference:+.4f} nats/token, KL divergence {c.kl_divergence:.4f} nats/token, "
            f"top-1 agreement {100 * c.top1_agreement:.1f} %"
        )
    _print_lines(lines)


def _print_similarity(report: SimilarityReport) -> None:
    result = report.similarity
    lines = [f"{report.pairs_file}: {result.pairs} pairs", f"{report.bundle}: Spearman {100 * result.spearman:.2f}"]
    if result.reference_spearman is not None:
        lines.append(f"{report.against}: Spearman {100 * result.reference_spearman:.2f}")
        lines.append(f"cosine to it: mean {result.mean_cosine:.5f}, smallest {result.min_cosine:.5f}")
    _print_lines(lines)


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        stdout.print(line, highlight=False, soft_wrap=True, markup=False)
