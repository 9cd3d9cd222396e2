//! Clients and servers of other makes.
