//! Routes, each with the right it needs and what it takes and answers: one without cannot be
//! written down.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use super::openapi::Describe;
use super::state::Api;
use crate::access::Action;

/// What a request to a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it tells nobody anything that is worth hiding.
    Nothing,
    /// A credential whose role allows this somewhere. Whether it is allowed in the group that the
    /// request is about is asked where the thing is done.
    Right(Action),
}

/// A route, for whoever wants to know them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method; GET answers HEAD too.
    pub method: Method,
    /// The path, variables in braces.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
}

/// A route, and its description.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// The route.
    pub route: Route,
    /// What it takes and answers.
    pub describe: fn() -> Describe,
}

/// What each route needs, by path and method.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs(Arc<HashMap<&'static str, Vec<(Method, Need)>>>);

/// What a request asks for, by its route and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Route(Need),
    NoSuchPath,
    NoSuchMethod,
    /// There is a route, but not in the table.
    NoRule,
}

impl Needs {
    /// What this is; `route`: the path as it stands in the router, if there is one.
    pub(super) fn of(&self, route: Option<&str>, method: &Method) -> Asked {
        let Some(path) = route else { return Asked::NoSuchPath };
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let Some(methods) = self.0.get(path) else { return Asked::NoRule };
        let found = methods.iter().find(|(known, _)| known == method);
        found.map_or(Asked::NoSuchMethod, |(_, need)| Asked::Route(*need))
    }
}

/// Routes being put together.
#[derive(Debug, Default)]
pub(super) struct Routes {
    router: Router<Api>,
    table: Vec<Described>,
}

macro_rules! methods {
    ($($name:ident = $method:ident),+) => {
        $(
            pub(super) fn $name<H, T>(
                self,
                path: &'static str,
                action: Action,
                (handler, describe): (H, fn() -> Describe),
            ) -> Self
            where
                H: Handler<T, Api>,
                T: 'static,
            {
                let route = Route { method: Method::$method, path, need: Need::Right(action) };
                self.add(MethodFilter::$method, Described { route, describe }, handler)
            }
        )+
    };
}

impl Routes {
    methods!(get = GET, post = POST, put = PUT, delete = DELETE);

    /// A GET that anybody may send.
    pub(super) fn open<H, T>(
        self,
        path: &'static str,
        (handler, describe): (H, fn() -> Describe),
    ) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let route = Route { method: Method::GET, path, need: Need::Nothing };
        self.add(MethodFilter::GET, Described { route, describe }, handler)
    }

    fn add<H, T>(mut self, filter: MethodFilter, described: Described, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.router = self.router.route(described.route.path, on(filter, handler));
        self.table.push(described);
        self
    }

    /// The same routes behind layers.
    pub(super) fn behind(mut self, layers: impl FnOnce(Router<Api>) -> Router<Api>) -> Self {
        self.router = layers(self.router);
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// The routes as a list.
    pub(super) fn table(&self) -> &[Described] {
        &self.table
    }

    /// The router, and what its routes need.
    pub(super) fn finish(self) -> (Router<Api>, Needs) {
        let mut needs: HashMap<&'static str, Vec<(Method, Need)>> = HashMap::new();
        for Described { route, .. } in self.table {
            needs.entry(route.path).or_default().push((route.method, route.need));
        }
        (self.router, Needs(Arc::new(needs)))
    }
}
