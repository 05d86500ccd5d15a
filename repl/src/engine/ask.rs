//! What a feature needs of an engine: answers to queries of slabql's own, and the source that gives them.

use query::catalog::{Column, Table};
use query::output::{Output, OutputColumn};
use query::value::Value;

use crate::report::error::Failure;
use crate::source::{ScanReport, Source};

/// Takes the rows of an answer as they come.
pub trait RowSink {
    /// Takes the columns, before any row.
    fn begin(&mut self, _: Vec<OutputColumn>) -> Result<(), Failure> {
        Ok(())
    }

    /// Takes a batch of rows, which may be empty.
    fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Failure>;
}

impl<F: FnMut(Vec<Vec<Value>>) -> Result<(), Failure>> RowSink for F {
    fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Failure> {
        self(rows)
    }
}

impl RowSink for Output {
    fn begin(&mut self, columns: Vec<OutputColumn>) -> Result<(), Failure> {
        self.columns = columns;
        Ok(())
    }

    fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Failure> {
        self.rows.extend(rows);
        Ok(())
    }
}

/// Answers queries.
pub trait Ask {
    /// The answer to a query.
    fn ask(&mut self, sql: &str) -> Result<Output, Failure>;

    /// Hands the answer to a query to `rows` as it comes.
    fn stream(&mut self, sql: &str, rows: &mut dyn RowSink) -> Result<ScanReport, Failure>;

    /// Fails if a query cannot be asked, before it is.
    fn check(&self, sql: &str) -> Result<(), Failure>;

    /// Where rows come from.
    fn source(&self) -> &dyn Source;

    /// Why a column is NULL in every row here, or there are no rows; none if it is there.
    fn unavailable(&self, table: &'static Table, column: &'static Column) -> Option<String>;
}
