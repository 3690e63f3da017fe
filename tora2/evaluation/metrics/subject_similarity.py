"""Subj-S and Face-S: how much what was found looks like its reference pictures.

Both are means of cosines over everything that should have been found; what is missing counts 0, so
a video cannot gain by hiding what it drew badly.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def tag_scores(tokens: Tensor, spans: Sequence[Sequence[int]]) -> Tensor:
    """Scores of the tags of a detector's prompt, of the scores of their tokens.

    Args:
        tokens: [B, L] scores of boxes and tokens.
        spans: for each tag the indices of its tokens; at least one.

    Returns:
        [B, tags]: half the sum of the highest and the mean score of a tag's tokens.
    """
    columns = [tokens[:, list(span)] for span in spans]
    scores = [(part.amax(-1) + part.mean(-1)) / 2 for part in columns]
    return torch.stack(scores, -1) if scores else tokens.new_zeros(len(tokens), 0)


def best_boxes(scores: Tensor, threshold: float = 0.4) -> list[int | None]:
    """The box of every tag: of those that are rather its than another tag's, the best one.

    Args:
        scores: [B, tags] as of `tag_scores`.
        threshold: what a score must exceed.

    Returns:
        An index of a box for every tag, None where it has none.
    """
    boxes: list[int | None] = [None] * scores.shape[1]
    if 0 in scores.shape:
        return boxes
    values, tags = scores.max(-1)
    for tag in range(len(boxes)):
        own = ((tags == tag) & (values > threshold)).nonzero().flatten()
        if len(own):
            boxes[tag] = int(own[values[own].argmax()])
    return boxes


def subject_similarity(
    found: Sequence[Mapping[str, Tensor]], references: Mapping[str, Tensor]
) -> float:
    """Subj-S of one video, or Face-S where the one tag is the face.

    Args:
        found: for every frame the embedding [D] of each tag that was found in it.
        references: [R, D] embeddings of each tag's reference pictures.

    Returns:
        The mean over frames and tags of the mean cosine with the tag's references; 0 for a tag
        that was not found.

    Raises:
        ValueError: if there is no frame, no tag, or a tag without references.
    """
    if not found or not references:
        raise ValueError(
            f"there are {len(found)} frames and {len(references)} tags, expected at least one each"
        )
    for tag, pictures in references.items():
        if pictures.ndim != 2 or not len(pictures):
            raise ValueError(
                f"references of {tag!r} are {tuple(pictures.shape)}, expected [R, D], R at least 1"
            )
    rows = over_frames(found, references).values()
    return sum(sum(row) for row in rows) / (len(found) * len(references))


def over_frames(
    found: Sequence[Mapping[str, Tensor]], references: Mapping[str, Tensor]
) -> dict[str, list[float]]:
    """For each tag and frame the mean cosine with its references, 0 where it was not found.

    Args:
        found, references: as in `subject_similarity`.
    """

    def mean(tag: str, frame: Mapping[str, Tensor]) -> float:
        if tag not in frame:
            return 0.0
        one, pictures = frame[tag].double()[None], references[tag].double()
        return float(F.cosine_similarity(pictures, one, dim=-1).mean())

    return {tag: [mean(tag, frame) for frame in found] for tag in references}
