//! The C boundary of qat-gateway.
