"""From raw videos to clips with entities, words, masks, cut-outs and tracks (section 3.3)."""
