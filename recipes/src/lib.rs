//! Recipes over znode.
