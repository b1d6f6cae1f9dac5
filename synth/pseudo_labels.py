"""Labels for pictures that have none, from the few that have one: what makes a generator of few labels semi-supervised.

A classifier learns the labelled pictures and, of the others, what it is sure to see in them (`synth.picture_learning`);
then every picture without a label is given the one that it sees (pseudo-labels, Lee 2013), and any family can be
fitted.
"""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs.columns import flat
from synth.codecs.image import described, to_levels
from synth.errors import ConfigError
from synth.imaging import is_image
from synth.picture_learning import learn
from synth.schema import Column

log = logging.getLogger(__name__)

STEPS = 2000  # of the classifier


def pseudo_labelled(table: pa.Table, target: str | None, *, seed: int) -> pa.Table:
    """The table with every null of the target filled by what a classifier sees in the picture.

    The same seed gives the same labels. ConfigError where there are no pictures, no target, or fewer than two labels.
    """
    images = [name for name, dtype in zip(table.column_names, table.schema.types, strict=True) if is_image(dtype)]
    if not images:
        raise ConfigError("pseudo_labels: the data has no pictures, whose labels could be seen")
    if target is None or target not in table.column_names:
        raise ConfigError("pseudo_labels: name the column that is to be filled as the target")
    column = table.column(target)
    values = flat(column)
    coded = pc.dictionary_encode(pc.drop_null(values))
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    if len(coded.dictionary) < 2:
        raise ConfigError(f"pseudo_labels: {target!r} has {len(coded.dictionary)} different labels; two are needed")
    empty = np.asarray(pc.is_null(values))
    if not empty.any():
        return table
    chunks = table.column(images[0])
    image = Column(name=images[0], kind="image", dtype=str(chunks.type), **described(images[0], chunks))
    levels = to_levels(chunks, image)
    known = coded.indices.to_numpy().astype(np.int64)
    found = learn(levels[~empty], known, len(coded.dictionary), aid="affine", pool=levels, steps=STEPS, seed=seed)
    seen = np.empty(len(empty), dtype=np.int64)
    seen[~empty] = known
    seen[empty] = found.chances(levels[empty]).argmax(1)
    log.info("%s: %d labels seen in pictures that had none, by %d that had one", target, empty.sum(), (~empty).sum())
    place, filled = table.column_names.index(target), coded.dictionary.take(pa.array(seen))
    filled = filled.dictionary_encode() if pa.types.is_dictionary(column.type) else filled
    return table.set_column(place, table.schema.field(place), filled.cast(column.type))
