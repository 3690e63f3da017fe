"""Tora's motion path: trajectory extractor and motion-guidance fuser (Tora2 section 3.1, Eq. 2).

Parameter names and numbers are those of the published Tora weights.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..geometry import COGVIDEOX


class RunningNorm(nn.BatchNorm2d):
    """Batch norm by its running statistics, in their type.

    Training on several processes gathers parameters in bfloat16 and leaves buffers in float32,
    which no kernel takes together.
    """

    def forward(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None
        kind = self.running_mean.dtype
        weight, bias = self.weight.to(kind), self.bias.to(kind)
        return F.batch_norm(x, self.running_mean, self.running_var, weight, bias, eps=self.eps)


class ResidualBlock(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = RunningNorm(channels)
        self.block1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = RunningNorm(channels)
        self.block2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.block1(F.relu(self.bn1(x)))
        return x + self.block2(F.relu(self.bn2(h)))


class TrajectoryExtractor(nn.Module):
    """Turns the motion latent into one motion feature map for each transformer block.

    Args:
        in_channels: channels of the latent.
        hidden: channels of every feature map.
        layers: number of feature maps, one a transformer block.
        blocks_per_layer: residual blocks between two feature maps.
        patch: latent cells in a token, along each side; the feature maps are of tokens.
    """

    def __init__(
        self,
        in_channels: int = COGVIDEOX.channels,
        hidden: int = 128,
        layers: int = 42,
        blocks_per_layer: int = 2,
        patch: int = COGVIDEOX.patch,
    ) -> None:
        super().__init__()
        self.blocks_per_layer = blocks_per_layer
        self.patch = patch
        self.conv_in = nn.Conv2d(patch**2 * in_channels, hidden, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(hidden) for _ in range(layers * blocks_per_layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.eval()

    def train(self, mode: bool = True) -> "TrajectoryExtractor":
        """Batch statistics stay frozen: the extractor always normalises with its running ones."""
        return super().train(False)

    def forward(self, latent: Tensor) -> list[Tensor]:
        """Extract motion features.

        Args:
            latent: [B, C, T, H, W] motion latent, already scaled; sides that are no multiple of
                the patch P are zero-padded.

        Returns:
            `layers` tensors of [B * T, hidden, ceil(H / P), ceil(W / P)].
        """
        x = rearrange(latent, "b c t h w -> (b t) c h w")
        x = F.pad(x, (0, -x.shape[-1] % self.patch, 0, -x.shape[-2] % self.patch))
        x = self.conv_in(F.pixel_unshuffle(x, self.patch))
        features = []
        for index, block in enumerate(self.body):
            x = block(x)
            if (index + 1) % self.blocks_per_layer == 0:
                features.append(x)
        return features


class MotionGuidanceFuser(nn.Module):
    """Adaptive norm that lets a motion feature modulate the video tokens of one block (Eq. 2).

    The published form is a residual, h + GroupNorm(h) * gamma + beta.

    Args:
        dim: channels of the video tokens.
        feature_dim: channels of the motion feature.
    """

    def __init__(self, dim: int, feature_dim: int = 128) -> None:
        super().__init__()
        inner = dim // 4
        self.flow_gamma_spatial = nn.Conv2d(feature_dim, inner, 3, padding=1)
        self.flow_gamma_temporal = nn.Conv1d(inner, dim, 3, padding=1, padding_mode="replicate")
        self.flow_beta_spatial = nn.Conv2d(feature_dim, inner, 3, padding=1)
        self.flow_beta_temporal = nn.Conv1d(inner, dim, 3, padding=1, padding_mode="replicate")
        self.flow_cond_norm = nn.GroupNorm(32, dim)
        for conv in (self.flow_gamma_temporal, self.flow_beta_temporal):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, feature: Tensor, frames: int) -> Tensor:
        """Fuse one motion feature into the tokens.

        Args:
            h: [B * T, C, H, W] video tokens after norm1's modulation.
            feature: [B' * T, F, H, W] motion feature; B is a multiple of B', so that the halves of
                classifier-free guidance share one feature.
            frames: T, the number of latent frames.

        Returns:
            [B * T, C, H, W].
        """
        return h + self.residual(h, feature, frames)

    def residual(self, h: Tensor, feature: Tensor, frames: int) -> Tensor:
        """What `forward` adds to `h`; same shapes."""
        gamma = self._project(feature, self.flow_gamma_spatial, self.flow_gamma_temporal, frames)
        beta = self._project(feature, self.flow_beta_spatial, self.flow_beta_temporal, frames)
        # PyTorch's group norm crashes in backward on channels-last input that needs no gradient,
        # which is what the first block of a frozen transformer gives.
        normed = self.flow_cond_norm(h.contiguous())
        normed = rearrange(normed, "(r b) c h w -> r b (h w) c", b=len(gamma))
        out = torch.addcmul(beta, normed, gamma)
        return rearrange(out, "r b (h w) c -> (r b) c h w", h=h.shape[-2])

    @staticmethod
    def _project(feature: Tensor, spatial: nn.Conv2d, temporal: nn.Conv1d, frames: int) -> Tensor:
        """[B * T, H * W, C]; the temporal convolution is run as one matrix product.

        Sequences as short as a clip's latent frames are slow to convolve, and the product leaves
        its result in the layout of the tokens.
        """
        x = rearrange(spatial(feature), "(b t) c h w -> b t (h w) c", t=frames)
        x = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)
        windows = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=-1)
        weight = rearrange(temporal.weight, "o i k -> o (k i)")
        return F.linear(windows, weight, temporal.bias).flatten(0, 1)
