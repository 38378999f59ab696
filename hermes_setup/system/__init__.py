"""Machines: the real one (`local`), one whose writes stay in memory (`overlay`), a throwaway copy (`rehearsal`)."""
