"""The depot: many connectors on one grid connection, described by one file, hosted by few processes."""
