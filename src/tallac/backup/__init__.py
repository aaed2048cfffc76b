"""Back up a source into a target on any grid."""
