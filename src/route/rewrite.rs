//! What a route changes in a request or response.

use http::HeaderMap;

use super::{HeaderOps, PathMatch, RouteParams};

impl HeaderOps {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Removes, then replaces, then adds.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

impl RouteParams {
    /// The path and query sent upstream, where the route rewrites it.
    pub fn rewritten(&self, path: &str, query: Option<&str>) -> Option<String> {
        let rewrite = self.rewrite.as_deref()?;
        let mut to = match &self.path {
            PathMatch::Prefix(prefix) => {
                let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
                format!("{}{rest}", rewrite.trim_end_matches('/'))
            }
            PathMatch::Any => format!("{}{path}", rewrite.trim_end_matches('/')),
            PathMatch::Exact(_) => rewrite.to_owned(),
        };
        if to.is_empty() {
            to.push('/');
        }
        if let Some(query) = query {
            to.push('?');
            to.push_str(query);
        }
        Some(to)
    }
}
