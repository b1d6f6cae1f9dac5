"""Schema, codec and model as one object that is fitted, sampled, saved and loaded."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from synth import models, training
from synth.codecs.domains import check_noise, declared_codec, measured, private_schema
from synth.codecs.modality import AnyCodec, codec_of
from synth.codecs.rules.codec import RuledCodec
from synth.codecs.table import restore
from synth.config import OWN
from synth.constraints import Rule
from synth.description import DESCRIPTION, FORMAT_VERSION, read_description
from synth.detection import detect, detect_again
from synth.devices import processor_threads, torch_device
from synth.encoded import encode
from synth.errors import ConfigError, FormatError, InputError, SynthError
from synth.frames import from_pandas, to_pandas
from synth.imputation import fill, observed
from synth.layout import Condition
from synth.models.base import GenerativeModel, TrainingConfig
from synth.ordered import in_order
from synth.privacy import Ledger, Privacy
from synth.requests import BLOCK, KEPT_BLOCK, Request
from synth.schema import RARE_VALUES, Domain, Schema
from synth.series import flatten
from synth.settings import configure, promise
from synth.storage import check_replaceable, replacing, write_json
from synth.stored import AnyTable, Stored, drawn, learnt_rows

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, DESCRIPTION)  # all that a model directory holds
ENGINES = {"gradients": "DP-SGD", "measurements": "noisy marginals"}
DAMAGE = (SafetensorError, pa.ArrowException)


class Synthesizer:
    """A generative model of one dataset.

    model: name of a family, see `synth.models.available`
    seed: root of all randomness of the fit, and the default of `sample`
    device: "auto" (a GPU where there is one), "cpu" or "cuda"
    max_minutes: bound on the wall time of training; the best state so far is kept
    max_rows: rows to learn from at most, drawn at random before anything is fitted
    privacy: the promise that is kept, a `Privacy` or its {epsilon, delta}; none by default. Everything that is learnt
        of the rows is then learnt with noise out of that budget, and the same seed does not give the same model
    pseudo_labels: give pictures whose target is null the label that a classifier sees in them, see
        `synth.pseudo_labels`
    threads: of the processor, for one training or one block of rows; more are quicker on large data, and may give
        other last bits
    config: the family's hyper-parameters by name; the rest keep their defaults

    Fitted: `schema_` (its `rows` are those learnt from), `source_rows_` (those that there were), `codec_`, `model_`,
    `training_` (the training curve), `privacy_` (the statement of what was promised and spent, or None), and after
    `fit` also `history_`.
    """

    def __init__(
        self,
        /,
        model: str = "autoregressive",
        *,
        seed: int = 0,
        device: str = "auto",
        max_minutes: float | None = None,
        max_rows: int | None = None,
        threads: int = 1,
        privacy: Privacy | Mapping[str, Any] | None = None,
        pseudo_labels: bool = False,
        **config: Any,
    ) -> None:
        self.model = model
        self.seed = seed
        self.device = device
        self.max_minutes = max_minutes
        self.max_rows = max_rows
        self.threads = threads
        self.privacy = privacy
        self.pseudo_labels = pseudo_labels
        self.config = config
        self._promise = promise(model, privacy)
        self._settings = configure(model, config, private=self._promise is not None)
        if max_minutes is not None and not max_minutes > 0:
            raise ConfigError(f"max_minutes: expected a positive number, found {max_minutes}")
        if max_rows is not None and max_rows < 1:
            raise ConfigError(f"max_rows: expected 1 or more, found {max_rows}")
        if pseudo_labels and self._promise is not None:
            raise ConfigError("pseudo_labels: it would look at rows past the privacy budget; leave it out")
        if threads < 1:
            raise ConfigError(f"threads: expected 1 or more, found {threads}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {**{name: getattr(self, name) for name in OWN}, **self.config}

    def set_params(self, **params: Any) -> Synthesizer:
        """Change constructor arguments; returns self."""
        self.__init__(**{**self.get_params(), **params})  # type: ignore[misc]
        return self

    def fit(
        self,
        data: pd.DataFrame | AnyTable | str | Path,
        *,
        schema: Schema | None = None,
        target: str | None = None,
        rules: Sequence[Rule | Mapping[str, Any]] = (),
        domains: Mapping[str, Domain] | None = None,
        rare_values: int = RARE_VALUES,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = training.CHECKPOINT_SECONDS,
        on_epoch: Callable[[training.Epoch], None] | None = None,
    ) -> Synthesizer:
        """Learn the rows of `data`, which is not changed.

        data: a frame, an Arrow table, or the path of a Parquet file or of a folder of parts, which is read by columns
            and by blocks of rows, so that it need not fit in memory. The result is the same
        schema: what `synth.detection.detect` would find, where it is known already
        target: column that a consumer would predict; part of `schema` where that is given
        rules: what every row keeps, likewise; rules of `synth.constraints` or their plain values
        domains: column -> what it may hold, likewise
        rare_values: rows that a category, or a number or moment at an end, needs to be reproduced, likewise; lower in
            tables of fewer than a hundred times as many rows. 0 and 1 withhold nothing
        checkpoint: directory that keeps the state of an unfinished training; a later call with the same data,
            configuration and code goes on from there. It is left to the caller to remove it
        checkpoint_seconds: time between two savings of it
        Raises InputError for data that cannot be learnt, TrainingError for a loss that turns non-finite.
        """
        table = self._learnt(data, bool(rules if schema is None else schema.rules))
        if self.pseudo_labels:
            table, schema = self._labelled(table, target, schema)
        if schema is None:
            least = 0 if self._promise else rare_values  # the ledger tells what is frequent
            texts = "text" in self._family.modalities
            schema = detect(table, target=target, rules=rules, domains=domains, rare_values=least, texts=texts)
        elif table.column_names != schema.names:
            raise InputError(f"columns {table.column_names} differ from the schema's {schema.names}")
        elif table.num_rows < self.source_rows_:
            schema = detect_again(table, schema)
        models.serving(self.model, schema.modality)
        if self._promise is not None:
            return self._fit_privately(table, schema, self._promise, on_epoch)
        self.privacy_: dict[str, Any] | None = None
        self.schema_ = schema
        self.codec_: AnyCodec = codec_of(schema).fit(table, schema, self.seed, **self._settings.codec)
        self.model_ = self._build()
        arrays = encode(self.codec_, table, places=self.model_.places)
        with processor_threads(self.threads):
            self.history_ = training.train(
                self.model_,
                arrays,
                seed=self.seed,
                device=torch_device(self.device),
                max_minutes=self.max_minutes,
                checkpoint=None if checkpoint is None else Path(checkpoint),
                checkpoint_seconds=checkpoint_seconds,
                fingerprint=_fingerprint(self.model, self._settings, self.seed, arrays),
                on_epoch=on_epoch,
            )
        self.training_ = _timeless(self.history_)
        if self.exposed is not None:
            log.warning("%s: %s; neither is private", self.model, self.exposed)
        return self

    def _fit_privately(
        self, table: AnyTable, schema: Schema, privacy: Privacy, on_epoch: Callable[[training.Epoch], None] | None
    ) -> Synthesizer:
        """As `fit`, through a ledger: the codec follows from domains alone, and every answer about rows is noisy."""
        from synth.private_training import train_privately  # Opacus takes seconds to import

        if privacy.delta * table.num_rows > 1:
            raise ConfigError(
                f"privacy: delta {privacy.delta:g} is above 1 / rows ({1 / table.num_rows:.2g}): it lets whole rows out"
            )
        ledger = Ledger(privacy)
        self.schema_ = private_schema(schema, table, ledger)
        check_noise(self.schema_.rows, ledger)
        self.source_rows_: int = self.schema_.rows
        codec = declared_codec(self.schema_, self.seed)
        arrays = encode(codec, table, places=self._family.places)
        if self._family.private == "gradients":
            codec = measured(codec, arrays["tokens"], ledger)
        self.codec_ = codec
        self.model_ = self._build()
        with processor_threads(self.threads):
            self.history_ = train_privately(
                self.model_,
                arrays,
                ledger,
                rows=self.schema_.rows,
                seed=self.seed,
                device=torch_device(self.device),
                max_minutes=self.max_minutes,
                on_epoch=on_epoch,
            )
        self.training_ = _timeless(self.history_)
        self.privacy_ = ledger.statement(f"{self.model}, {ENGINES[str(self._family.private)]}")
        return self

    @property
    def _family(self) -> type[GenerativeModel]:
        found: type[GenerativeModel] = models.family(self.model).Model
        return found

    def _learnt(self, data: pd.DataFrame | AnyTable | str | Path, ruled: bool) -> AnyTable:
        """The rows to learn from; with rules as a table in memory."""
        table = Stored.open(data) if isinstance(data, str | Path) else self._table(data)
        self.source_rows_ = table.num_rows
        count = learnt_rows(table.num_rows, self.max_rows, ruled)
        if count < table.num_rows:
            why = "max_rows" if count == self.max_rows else "the rules need them in memory"
            log.warning("%s of %s rows are learnt from, drawn at random (%s)", f"{count:,}", f"{table.num_rows:,}", why)
        table = drawn(table, count, self.seed)
        return table.read() if ruled and isinstance(table, Stored) else table

    def _labelled(self, table: AnyTable, target: str | None, schema: Schema | None) -> tuple[pa.Table, Schema | None]:
        from synth.pseudo_labels import pseudo_labelled

        whole = table.read() if isinstance(table, Stored) else table
        with processor_threads(self.threads):
            filled = pseudo_labelled(whole, target if schema is None else schema.target, seed=self.seed)
        return filled, None if schema is None else detect_again(filled, schema)

    @property
    def epochs(self) -> int:
        """Passes over the data that a training makes at most."""
        return self._settings.epochs

    @property
    def exposed(self) -> str | None:
        """Why rows of the source stand in the model file and may come out, where that is so."""
        return self._fitted().model_.exposed

    def sample(
        self,
        rows: int,
        *,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        balance: str | None = None,
    ) -> pd.DataFrame:
        """Draw exactly `rows` rows as a pandas frame with the dtypes of the source; of series so many series, a row for
        each step.

        where: column -> a value, a list of values, or a (low, high) tuple, both ends included; every row keeps all
        balance: column of which every value comes equally often
        The same seed gives the same rows, and the first n rows of a longer sample are those of a shorter one.
        Raises ConfigError for a condition outside of what was learnt, or one that the family cannot keep.
        """
        return to_pandas(self.sample_table(rows, seed=seed, where=where, balance=balance))

    def sample_table(
        self,
        rows: int,
        *,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        balance: str | None = None,
    ) -> pa.Table:
        """As `sample`, as an Arrow table."""
        if rows < 0:
            raise InputError(f"rows: expected 0 or more, found {rows}")
        request = self.request(where, balance)
        self.check_room(rows)
        blocks = list(self.blocks(range(-(-rows // request.block)), seed=seed, request=request))
        table = pa.concat_tables(blocks) if blocks else self._fitted().codec_.empty()
        return flatten(table.slice(0, rows))

    def request(self, where: Mapping[str, Any] | None = None, balance: str | None = None) -> Request:
        """What every row has to keep, checked against what was learnt; see `sample`."""
        self._fitted()
        if where or balance is not None:
            self._check_conditional()
        return Request.make(self.codec_, where or {}, balance)

    def block(self, index: int, *, seed: int | None = None, request: Request | None = None) -> pa.Table:
        """Rows index * B up to (index + 1) * B, from the seed sequence (seed, index); B is the request's block."""
        self._fitted()
        request = request or Request.make(self.codec_, {}, None)
        rows = range(index * request.block, (index + 1) * request.block)
        root = self.seed if seed is None else seed
        return self._draw(rows, [root, index], request.condition(rows), request.clip)

    def blocks(self, numbers: range, *, seed: int | None = None, request: Request | None = None) -> Iterator[pa.Table]:
        """`block` of each number, in order, drawn side by side on the processors that torch may use.

        The rows do not depend on how many there are (`OMP_NUM_THREADS` bounds them).
        """
        return in_order(lambda index: self.block(index, seed=seed, request=request), numbers, self._together)

    def check_room(self, rows: int) -> None:
        """InputError where a key of the rules has fewer different values than there are `rows`."""
        codec = self._fitted().codec_
        capacity = codec.capacity if isinstance(codec, RuledCodec) else None
        if capacity is not None and rows > capacity:
            raise InputError(
                f"rows: {rows:,} were asked for, and the keys of the rules have {capacity:,} different values; ask for "
                "no more"
            )

    def _draw(
        self,
        rows: range,
        entropy: list[int],
        condition: Condition | None,
        finish: Callable[[pa.Table], pa.Table] = lambda table: table,
    ) -> pa.Table:
        tokens_seed, values_seed = np.random.SeedSequence(entropy).spawn(2)
        arrays = self._arrays(len(rows), tokens_seed, condition)
        spans = condition.spans if condition else {}
        if isinstance(self.codec_, RuledCodec):

            def again(chosen: NDArray[np.int64], attempt: int) -> dict[str, NDArray[Any]]:
                wanted = condition and condition.of_rows(chosen)
                return self._arrays(len(chosen), np.random.SeedSequence([*entropy, attempt]), wanted)

            return self.codec_.keep(arrays, again, rows=rows, seed=values_seed, spans=spans, finish=finish)
        return finish(self.codec_.decode(arrays, rows=rows, rng=np.random.default_rng(values_seed), spans=spans))

    def _arrays(self, n: int, seed: np.random.SeedSequence, condition: Condition | None) -> dict[str, NDArray[Any]]:
        generator = torch.Generator().manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        with processor_threads(self.threads), torch.inference_mode():
            tensors = self.model_.sample(n, generator, condition)
        return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}

    def log_prob(self, data: pd.DataFrame | pa.Table) -> NDArray[np.float64]:
        """(N,) log-likelihood of each row in nats: of discrete values the probability, of continuous ones the density
        per unit of the column. Low ones mark anomalies. Raises ConfigError where the family has no likelihood."""
        table = restore(self._table(data), self._fitted().schema_)
        parts = [np.zeros(0)]
        for start in range(0, table.num_rows, BLOCK):
            rows = table.slice(start, BLOCK)
            batch = self.batch(rows)
            try:
                with processor_threads(self.threads), torch.inference_mode():
                    found = self.model_.log_prob(batch).cpu().numpy().astype(np.float64)
            except NotImplementedError:
                raise ConfigError(f"log_prob: the family {self.model!r} has no exact likelihood") from None
            parts.append(found + self.codec_.log_density(rows, batch["tokens"].cpu().numpy()))
        return np.concatenate(parts)

    def batch(self, rows: pa.Table) -> dict[str, torch.Tensor]:
        """Rows of the schema's columns in the form that the model takes, where it is."""
        return {name: torch.from_numpy(array).to(self.torch_device) for name, array in self.codec_.encode(rows).items()}

    def impute(self, data: pd.DataFrame | pa.Table, *, draws: int = 1, seed: int | None = None) -> pd.DataFrame:
        """Fill every null by sampling given the row's other values, which are kept exactly.

        draws: more than 1 fills in what errs least instead: the mean of a number over the draws, the median of a
            moment, the most frequent other value
        A value that the training rows do not have counts as the nearest or most frequent one.
        """
        if draws < 1:
            raise ConfigError(f"draws: expected 1 or more, found {draws}")
        if self._fitted().schema_.modality != "table":
            raise ConfigError("impute: gaps are filled in tables without pictures and texts only")
        table = restore(self._table(data), self._fitted().schema_)
        self._check_conditional()
        root = self.seed if seed is None else seed
        step = max(KEPT_BLOCK // draws, 1)

        def filled(index: int) -> pa.Table:
            rows = table.slice(index * step, step)
            first = index * step * draws
            numbers = range(first, first + rows.num_rows * draws)
            drawn = self._draw(numbers, [root, index], observed(self.codec_, rows, draws))
            return fill(rows, drawn, draws)

        blocks = in_order(filled, range(-(-table.num_rows // step)), self._together)
        return to_pandas(pa.concat_tables([table.slice(0, 0), *blocks]))

    def _table(self, data: pd.DataFrame | AnyTable) -> AnyTable:
        return data if isinstance(data, pa.Table | Stored) else from_pandas(data)

    def _check_conditional(self) -> None:
        if not self.model_.conditional:
            able = [n for n in models.available(self.schema_.modality) if models.family(n).Model.conditional]
            raise ConfigError(f"the family {self.model!r} cannot keep conditions; these can: {', '.join(able)}")

    @property
    def _together(self) -> int:
        """Blocks of rows that are drawn side by side: as many as torch has processors for, one at a time on a GPU."""
        return max(torch.get_num_threads() // self.threads, 1) if self.torch_device.type == "cpu" else 1

    @property
    def torch_device(self) -> torch.device:
        """Where the fitted model is."""
        return next((parameter.device for parameter in self.model_.parameters()), torch.device("cpu"))

    def save(self, path: str | Path) -> None:
        """Write a directory with `model.safetensors` and `synthesizer.json`, atomically. Nothing is pickled."""
        self._fitted()
        check_replaceable(path, *FILES)
        with replacing(path) as temporary:
            temporary.mkdir()
            tensors = {name: t.detach().cpu().contiguous() for name, t in self.model_.state_dict().items()}
            safetensors.torch.save_file(tensors, temporary / WEIGHTS)
            write_json(temporary / DESCRIPTION, self._description())

    def _description(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "versions": {name: version(name) for name in ("synth", "torch", "pyarrow")},
            "model": self.model,
            "config": self._settings.model_dump(mode="json"),
            "seed": self.seed,
            "max_minutes": self.max_minutes,
            "max_rows": self.max_rows,
            "source_rows": self.source_rows_,
            "privacy": self.privacy_,
            "schema": self.schema_.model_dump(mode="json"),
            "codec": self.codec_.state(),
            "training": self.training_,
        }

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Synthesizer:
        """Read what `save` wrote, on any machine; FormatError where it is damaged or of another version."""
        content = read_description(path)
        try:
            synthesizer = cls(
                content["model"],
                seed=content["seed"],
                device=device,
                max_minutes=content["max_minutes"],
                max_rows=content["max_rows"],
                **content["config"],
            )
            synthesizer.schema_ = Schema.model_validate(content["schema"])
            synthesizer.codec_ = codec_of(synthesizer.schema_).from_state(content["codec"], synthesizer.schema_)
            synthesizer.source_rows_ = content["source_rows"]
            synthesizer.training_ = content["training"]
            synthesizer.privacy_ = content["privacy"]
            synthesizer.model_ = synthesizer._build()
            synthesizer.model_.load_state_dict(safetensors.torch.load_file(Path(path) / WEIGHTS))
        except SynthError:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError, OSError, *DAMAGE) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FormatError(f"{path}: damaged model ({reason})") from None
        synthesizer.model_.to(torch_device(device)).eval()
        return synthesizer

    def _build(self) -> GenerativeModel:
        generator = torch.Generator().manual_seed(self.seed)
        return self._family(self._settings, self.codec_.layout, generator)

    def _fitted(self) -> Synthesizer:
        if not hasattr(self, "model_"):
            raise InputError("the synthesizer is not fitted; call fit(data) or load(path) first")
        return self


def _timeless(history: training.History) -> dict[str, Any]:
    """The training curve without its clock and its interruptions: the same fit gives the same bytes."""
    content = {key: value for key, value in history.as_dict().items() if key != "resumed_at"}
    epochs = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in content["epochs"]]
    return {**content, "epochs": epochs}


def _fingerprint(model: str, settings: TrainingConfig, seed: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Digest of all that a training depends on: code, configuration, seed and data."""
    digest = hashlib.sha256(f"{model} {settings.model_dump_json()} {seed} {torch.__version__}".encode())
    for module in (models.family(model), models.base, training):
        digest.update(Path(str(module.__file__)).read_bytes())
    for file in sorted((Path(__file__).parent / "nets").glob("*.py")):
        digest.update(file.read_bytes())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
