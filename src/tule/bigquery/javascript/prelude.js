// Between values of BigQuery and values of JavaScript, both ways. Its value is a function of the body's argument names,
// their types, the type of the result, and the body; that answers a function from requests to answers, both JSON.
// A type is {kind, repeated, fields: [{name, type}]}.
// https://cloud.google.com/bigquery/docs/user-defined-functions#sql-type-encodings-in-javascript
(function () {
  'use strict';
  // The body may put other things in the place of these.
  const {parse, stringify} = JSON;
  const {isArray} = Array;
  const {isInteger, isSafeInteger} = Number;
  const [text, number, boolean, whole, date, failure, body] = [String, Number, Boolean, BigInt, Date, Error, Function];
  const {iterator} = Symbol;
  const days = /^(\d{1,4})-(\d{1,2})-(\d{1,2})$/;

  function given(value, type) {
    if (value === null) return null;
    if (type.repeated) return value.map(each => given(each, type.element));
    switch (type.kind) {
      case 'FLOAT64':
        return number(value);
      case 'NUMERIC':
      case 'BIGNUMERIC': {
        const found = number(value);
        return isSafeInteger(found) && text(found) === value ? found : value;
      }
      case 'DATE':
        return new date(value);
      case 'TIMESTAMP': {
        // Milliseconds, then the microseconds in the last of them.
        const made = new date(value[0]);
        made.microsecond = value[1];
        return made;
      }
      case 'JSON':
        return parse(value);
      case 'STRUCT': {
        const made = {};
        for (const each of type.fields) made[each.name] = given(value[each.name], each.type);
        return made;
      }
    }
    return value;
  }

  // What cannot be a value of the result's type.
  class Misfit {
    constructor(value) {
      try { this.shown = stringify(value) ?? text(value); } catch { this.shown = typeof value; }
    }
  }

  function moment(value, type) {
    if (value instanceof date) {
      if (value.getTime() !== value.getTime()) throw new Misfit('Invalid Date');
      return value;
    }
    if (typeof value === 'string' && type.kind === 'DATE' && days.test(value)) return new date(value);
    if (typeof value === 'string' && type.kind === 'TIMESTAMP') {
      const made = new date(value);
      if (made.getTime() === made.getTime()) return made;
    }
    throw new Misfit(value);
  }

  function taken(value, type) {
    if (value === null || value === undefined) return type.repeated ? [] : null;
    if (type.repeated) {
      if (!isArray(value) && (typeof value !== 'object' || typeof value[iterator] !== 'function')) {
        throw new Misfit(value);
      }
      return [...value].map(each => taken(each, type.element));
    }
    switch (type.kind) {
      case 'INT64':
        if (typeof value === 'number' ? !isInteger(value) : !/^\s*[-+]?\d+\s*$/.test(text(value))) throw new Misfit(value);
        return typeof value === 'number' ? whole(value).toString() : text(value).trim();
      case 'FLOAT64': {
        const made = typeof value === 'object' ? NaN : number(value);
        if (made !== made && value === value && value !== 'NaN') throw new Misfit(value);
        return text(made);
      }
      case 'BOOL':
        return boolean(value);
      case 'DATE':
        return moment(value, type).getTime();
      case 'TIMESTAMP': {
        const made = moment(value, type);
        const more = number(made.microsecond ?? 0);
        return [made.getTime(), isInteger(more) && more >= 0 && more < 1000 ? more : 0];
      }
      case 'JSON':
        return stringify(value) ?? null;
      case 'STRUCT': {
        if (typeof value !== 'object') throw new Misfit(value);
        const made = {};
        for (const each of type.fields) made[each.name] = taken(value[each.name], each.type);
        return made;
      }
    }
    return text(value).toWellFormed();
  }

  function refusal(error) {
    const shown = error instanceof failure ? text(error) : `Uncaught ${text(error)}`;
    return stringify({error: shown, stack: text(error?.stack ?? '')});
  }

  return function (names, types, result, source) {
    const called = new body(...names, source);
    let settled = '';
    const answered = value => {
      try {
        return stringify({value: taken(value, result)});
      } catch (error) {
        if (!(error instanceof Misfit)) return refusal(error);
        return stringify({misfit: error.shown});
      }
    };
    return function (request) {
      if (request === '') return settled || stringify({error: 'Error: The promise was never settled', stack: ''});
      let value;
      try {
        value = called(...parse(request).map((each, index) => given(each, types[index])));
      } catch (error) {
        return refusal(error);
      }
      if (typeof value === 'object' && value !== null && typeof value.then === 'function') {
        settled = '';
        value.then(found => { settled = answered(found); }, error => { settled = refusal(error); });
        return '';
      }
      return answered(value);
    };
  };
})()
