"""The experiments: every module here that defines `STUDY` is one."""
