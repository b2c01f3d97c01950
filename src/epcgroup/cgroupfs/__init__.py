"""Read and write a tree of groups through its files, under any root; serve our own tree by FUSE."""
