//! What is told of a wrong signature.
