"""What a run costs, told before it: parameters, memory, operations, hours, disk.

Nothing of it is measured. The loops of the recipes run on tensors that have shapes and no values,
so operations are those of the code that trains; memory is what its tensors take. What kernels need
beside that, and how busy they keep a GPU, is assumed, see `Cards`.
"""

from .cards import CARDS, Cards, cards
from .measure import watched
from .plan import Plan, run, run_customization
from .report import report

__all__ = ["CARDS", "Cards", "Plan", "cards", "report", "run", "run_customization", "watched"]
