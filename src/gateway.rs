//! The composition root: parameters in, running workers out.
