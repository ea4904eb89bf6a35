"""The font of visible signatures: Tinos, Times metrics with Vietnamese (SIL Open Font License 1.1, see OFL.txt)."""
