"""The smallest configurations of the bundled model's recipe, to be formatted with their output."""

SMALL_TRAINING = """
output: {output}
pool: 8
workers: 0
data: {{size: 32, frames: 5, picture: 32, sigma: 3.0}}
encoder: {{picture: 32, dim: 16}}
autoencoder: {{width: 16, layers: 1, pixel_channels: 4, scaling_factor: 1.0}}
autoencoder_training: {{steps: 2, clips: 1, crop: 32}}
transformer: {{heads: 1, layers: 2, time_dim: 32, text_dim: 32, text_layers: 1}}
adapter: {{feature_dim: 16, qformer_dim: 32, queries: 4, context_dim: 32, attention_dim: 64,
  attention_heads: 1}}
optimization:
  {{steps: 4, batch: 4, evaluate_every: 4, evaluate_clips: 2, log_every: 1, checkpoint_every: 2,
   precision: fp32, learning_rate: 0.002}}
"""

SMALLEST_TRAINING = (
    SMALL_TRAINING.replace("steps: 2, clips: 1", "steps: 1, clips: 1")
    .replace("layers: 2, time_dim", "layers: 1, time_dim")
    .replace("steps: 4, batch: 4, evaluate_every: 4", "steps: 2, batch: 2, evaluate_every: 0")
    .replace("checkpoint_every: 2", "checkpoint_every: 1")
)
"""Of fewer steps, without an evaluation."""
