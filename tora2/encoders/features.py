"""What a picture encoder gives: the value that travels from the encoders to the DPE."""

from dataclasses import dataclass

from torch import Tensor

BRANCHES = ("face", "object")


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """One encoded reference picture.

    Attributes:
        semantic: [S, semantic_dim] tokens of the semantic encoder (ε_img of Eq. 3).
        prior: [prior_dim] identity vector of the branch's recognition encoder (ε_prior of Eq. 3).
        branch: `face` or `object`.
    """

    semantic: Tensor
    prior: Tensor
    branch: str

    def __post_init__(self) -> None:
        if self.branch not in BRANCHES:
            raise ValueError(f"branch is {self.branch!r}; expected one of {BRANCHES}")
        shapes = tuple(self.semantic.shape), tuple(self.prior.shape)
        if (len(shapes[0]), len(shapes[1])) != (2, 1) or 0 in shapes[0] + shapes[1]:
            raise ValueError(
                f"semantic and prior have shapes {shapes[0]} and {shapes[1]}; "
                "expected [S, D] and [D], none of them empty"
            )

    def check_widths(self, semantic: int, face: int, object: int) -> None:
        """Refuse features that an adapter of these widths cannot read.

        Raises:
            ValueError: says the widths of both.
        """
        wanted = face if self.branch == "face" else object
        given = (self.semantic.shape[1], self.prior.shape[0])
        if given != (semantic, wanted):
            raise ValueError(
                f"the encoders give {given[0]} semantic and {given[1]} {self.branch} channels; "
                f"the adapter expects {semantic} and {wanted}"
            )
