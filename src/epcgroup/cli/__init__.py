"""The ``epcg`` command, one file a sub-command."""
