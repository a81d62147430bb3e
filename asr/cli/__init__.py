"""The commands. Each file holds one, parses arguments, and imports what is heavy inside main()."""
