"""The whole job on a throwaway copy of this machine: the copy, its internet, and what stands in for others."""
