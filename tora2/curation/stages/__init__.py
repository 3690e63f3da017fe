"""The stages of curation, one file each; `curation.stage` says what a stage is."""
