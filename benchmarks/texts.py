"""A book learnt character by character: nats on its unseen last tenth, beside counts and compressors, what of it is
copied, and what the cache of keys and values saves.

`python -m benchmarks.texts --book shakespeare.txt --minutes 10`
"""

from __future__ import annotations

import gzip
import lzma
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import torch
import typer
from torch import Tensor

from benchmarks.cells import settings
from synth import Synthesizer
from synth.console import stage
from synth.devices import processor_threads
from synth.errors import InputError
from synth.evaluation.ngrams import NGrams
from synth.evaluation.writing import longest_match
from synth.layout import TEXT_END
from synth.models import transformer
from synth.nets.columns import draw
from synth.nets.draws import rand
from synth.sources import read_table
from synth.storage import write_json, write_text
from synth.texts import TEXT, cut

UNSEEN = 0.1  # share of the book, its end
PASSAGE = 1000  # characters that are one row
ORDERS = (4, 5, 6)
WRITTEN = 64  # texts, and characters of each, of the trial of the cache
CACHED = 512
BITS = math.log(2)
SMALL = (
    "transformer:tokens=characters,width=128,layers=4,page=128,batch_size=16,learning_rate=0.003,dropout=0,epochs=1000"
)


def main(
    book: Annotated[Path, typer.Option(help="A text file")],
    out: Annotated[Path, typer.Option(help="Folder for the model, texts.json and texts.md")] = Path("build/texts"),
    system: Annotated[str, typer.Option(help="family:key=value,...")] = SMALL,
    minutes: Annotated[float, typer.Option(help="Bound on the training")] = 10.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: int = 0,
) -> None:
    """Train on the first nine tenths, score the last, draw as many passages as that has, time the cache."""
    text = read_table(book, text=10**9).column(TEXT)[0].as_py()
    place = round((1 - UNSEEN) * len(text))
    train, unseen = (cut(part, str(book), PASSAGE).column(TEXT).to_pylist() for part in (text[:place], text[place:]))
    found: dict[str, Any] = {"characters": [place, len(text) - place], "unseen": baselines(train, unseen)}
    for name, nats in found["unseen"].items():
        typer.echo(f"{name}: {nats:.4f} nats per character")
    family, config = settings(system)
    model = Synthesizer(family, seed=seed, max_minutes=minutes, threads=threads, device=device, **config)
    start = time.monotonic()
    model.fit(pa.table({TEXT: train}))
    model.save(out / "model")
    found["fit_minutes"] = round((time.monotonic() - start) / 60, 2)
    found["stopped"] = model.history_.stopped
    found["weights"] = sum(parameter.numel() for parameter in model.model_.parameters())
    found["unseen"][family] = nats_of(model, unseen)
    made = [text or "" for text in model.sample_table(len(unseen), seed=seed).column(TEXT).to_pylist()]
    found["copied"] = {
        "synthetic": longest_match(made, train),
        "unseen": longest_match(unseen, train),
        "characters": [sum(map(len, made)), sum(map(len, unseen))],
    }
    found["cache"] = cached(model, threads)
    write_json(out / "texts.json", found)
    write_text(out / "samples.txt", "\n\n----\n\n".join(made))
    write_text(out / "texts.md", markdown(found))
    typer.echo(markdown(found))


def baselines(train: Sequence[str], unseen: Sequence[str]) -> dict[str, float]:
    """Nats per unseen character: of counts, and of compressors that have read the training text before."""
    found = {f"counts of {order} characters": NGrams.fit(train, order).bits(unseen) * BITS for order in ORDERS}
    whole, known = ("".join([*train, *unseen]).encode(), "".join(train).encode())
    for name, squeeze in (("gzip", gzip.compress), ("xz", lzma.compress)):
        size = len(squeeze(whole)) - len(squeeze(known))
        found[name] = 8 * size * BITS / sum(map(len, unseen))
    return {name: round(value, 4) for name, value in found.items()}


def nats_of(model: Synthesizer, texts: Sequence[str]) -> float:
    """Nats per character, the ends of the texts counted in."""
    return round(float(-model.log_prob(pa.table({TEXT: list(texts)})).sum()) / sum(map(len, texts)), 4)


def cached(synthesizer: Synthesizer, threads: int) -> dict[str, Any]:
    """Seconds to write WRITTEN texts with the cache, and by reading all of each text anew for every token; and whether
    the same is written."""
    model = synthesizer.model_
    if not isinstance(model, transformer.Model):
        raise InputError(f"{synthesizer.model}: has no cache")
    decoder, pages = model.decoder, min(CACHED, model.layout.page, model.layout.longest)
    cache = decoder.cache(WRITTEN)

    def stepped(tokens: list[Tensor]) -> Tensor:
        return decoder.step(tokens[-1], None, len(tokens) - 1, cache)

    def anew(tokens: list[Tensor]) -> Tensor:
        logits: Tensor = decoder(torch.stack(tokens, 1), None, None, None)
        return logits[:, -1]

    def write(logits: Callable[[list[Tensor]], Tensor]) -> tuple[float, bytes]:
        generator, start = torch.Generator().manual_seed(0), time.perf_counter()
        tokens = [torch.full((WRITTEN,), TEXT_END, device=model.used.device)]
        with processor_threads(threads), torch.inference_mode():
            for _ in range(pages):
                uniform = rand((WRITTEN,), generator, model.used.device)
                tokens.append(draw(logits(tokens).masked_fill(~model.used, -torch.inf), uniform))
        return time.perf_counter() - start, torch.stack(tokens).cpu().numpy().tobytes()

    (quick, first), (slow, second) = write(stepped), write(anew)
    return {
        "tokens": pages,
        "seconds": round(quick, 2),
        "seconds_without": round(slow, 2),
        "times": round(slow / quick, 1),
        "equal": first == second,
        "tokens_per_s": round(WRITTEN * pages / quick),
    }


def markdown(found: dict[str, Any]) -> str:
    """Tables of the figures."""
    lines = ["| | nats per character | bits |", "|---|--:|--:|"]
    lines += [f"| {name} | {nats:.4f} | {nats / BITS:.4f} |" for name, nats in found["unseen"].items()]
    copied, cache = found["copied"], found["cache"]
    fit = f"{found['weights']:,} weights, {found['fit_minutes']} minutes, stopped by {found['stopped']}."
    longest = (
        f"Longest passage that stands in the training text: {copied['synthetic']} characters of the synthetic texts, "
        f"{copied['unseen']} of the unseen ones."
    )
    trial = (
        f"{WRITTEN} texts of {cache['tokens']} tokens: {cache['seconds']} s with the cache, "
        f"{cache['seconds_without']} s without, {cache['times']} times; "
        f"{'the same' if cache['equal'] else 'other'} bytes."
    )
    return "\n".join([*lines, "", fit, longest, "", trial]) + "\n"


if __name__ == "__main__":
    stage(main)
