"""Tiny random checkpoints, one function per fixture, each writing the files of the repository it stands for."""
