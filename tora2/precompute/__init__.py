"""What training reads of clips, computed beforehand by the encoders that inference uses."""
