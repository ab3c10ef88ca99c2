// Shows the description of the API. Text from it is only ever set as text.
"use strict";

const make = (tag, classes, ...inside) => {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...inside.filter((part) => part !== null && part !== undefined));
  return element;
};

// `code` and **weight**, the little of Markdown that descriptions have.
const words = (text) =>
  (text || "").split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return make("code", "", part.slice(1, -1));
    return part.startsWith("**") ? make("strong", "", part.slice(2, -2)) : part;
  });

const last = (reference) => reference.split("/").pop();

function shape(schema) {
  if (!schema) return "anything";
  if (schema.$ref) return last(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(shape).join(" or ");
  if (schema.enum) return schema.enum.filter((word) => word !== null).join(" | ");
  const types = [].concat(schema.type || "anything");
  const words = types.map((type) => (type === "array" ? `list of ${shape(schema.items)}` : type));
  let text = words.join(" or ");
  if (schema.format) text += ` (${schema.format})`;
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    text += `, ${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}`;
  }
  if (schema.maxLength !== undefined) text += `, at most ${schema.maxLength}`;
  if (schema.default !== undefined) text += `, else ${JSON.stringify(schema.default)}`;
  return text;
}

// An object field by field; named ones are opened once, so that no circle has no end.
function fields(api, schema, opened = []) {
  if (!schema) return null;
  if (schema.$ref) {
    const name = last(schema.$ref);
    if (opened.includes(name)) return null;
    return fields(api, api.components.schemas[name], opened.concat(name));
  }
  if (schema.anyOf) {
    const parts = schema.anyOf.map((one) => fields(api, one, opened)).filter((part) => part);
    return parts.length ? make("div", "", ...parts) : null;
  }
  if (schema.items) return fields(api, schema.items, opened);
  if (!schema.properties) return null;
  const table = make("table");
  for (const [name, field] of Object.entries(schema.properties)) {
    if (field.readOnly) continue;
    const must = (schema.required || []).includes(name) ? " *" : "";
    const cell = make("td", "", make("span", "dim", shape(field)));
    if (field.description) cell.append(make("div", "", ...words(field.description)));
    const inner = fields(api, field, opened);
    if (inner) cell.append(make("details", "", make("summary", "dim", "fields"), inner));
    table.append(make("tr", "", make("td", "", make("code", "", name + must)), cell));
  }
  return table;
}

function content(api, media) {
  const [name, of] = Object.entries(media || {})[0] || [];
  if (!name) return [];
  const parts = [make("div", "dim", `${name}: ${shape(of.schema)}`), fields(api, of.schema)];
  if (of.example) parts.push(make("pre", "", JSON.stringify(of.example, null, 2)));
  return parts;
}

function inside(api, operation) {
  const parts = [];
  const section = (title, ...more) => parts.push(make("h3", "", title), ...more);
  if (operation.description) parts.push(make("p", "", ...words(operation.description)));
  const params = (operation.parameters || []).map((one) => (one.$ref ? api.components.parameters[last(one.$ref)] : one));
  if (params.length) {
    const table = make("table");
    for (const param of params) {
      const name = make("td", "", make("code", "", param.name + (param.required ? " *" : "")), make("div", "dim", param.in));
      const about = make("td", "", make("span", "dim", shape(param.schema)), make("div", "", ...words(param.description)));
      table.append(make("tr", "", name, about));
    }
    section("Parameters", table);
  }
  if (operation.requestBody) section("Body", ...content(api, operation.requestBody.content));
  section("Answers");
  for (const [status, one] of Object.entries(operation.responses)) {
    const answer = one.$ref ? api.components.responses[last(one.$ref)] : one;
    const headers = Object.keys(answer.headers || {}).join(", ");
    const line = [make("code", "", status), " ", ...words(answer.description), headers ? make("span", "dim", ` (${headers})`) : null];
    const body = status < 400 ? content(api, answer.content) : [];
    parts.push(body.length ? make("details", "", make("summary", "", ...line), ...body) : make("div", "", ...line));
  }
  return parts;
}

function show(api) {
  const main = document.getElementById("operations");
  const nav = document.getElementById("tags");
  const rows = [];
  main.replaceChildren(make("p", "about", ...words(api.info.description)));
  document.querySelector("h1").append(make("span", "dim", ` ${api.info.version}`));
  for (const tag of api.tags) {
    const id = tag.name.toLowerCase().replaceAll(" ", "-");
    const heading = make("h2", "", tag.name);
    heading.id = id;
    const link = make("a", "", tag.name);
    link.href = `#${id}`;
    nav.append(link);
    const part = make("section", "", heading, make("p", "about", ...words(tag.description)));
    main.append(part);
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        const need = (operation.security || []).flatMap((one) => Object.values(one).flat()).join(", ");
        const summary = make("summary", "", make("span", `method ${method}`, method.toUpperCase()), make("code", "", path),
          make("span", "dim", operation.summary), make("span", "right", need));
        const row = make("details", "operation", summary);
        row.id = operation.operationId;
        // Made when it is opened: most never are.
        row.addEventListener("toggle", () => {
          if (row.open && row.children.length === 1) row.append(make("div", "inside", ...inside(api, operation).filter((one) => one)));
        });
        part.append(row);
        rows.push({ row, part, text: `${method} ${path} ${operation.summary} ${tag.name}`.toLowerCase() });
      }
    }
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase().split(/\s+/);
    const parts = new Set();
    for (const { row, part, text } of rows) {
      row.hidden = !wanted.every((word) => text.includes(word));
      if (!row.hidden) parts.add(part);
    }
    for (const { part } of rows) part.hidden = !parts.has(part);
  });
  const meant = document.getElementById(location.hash.slice(1));
  if (meant) {
    meant.open = true;
    meant.scrollIntoView();
  }
}

fetch("api-docs/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => document.getElementById("operations").replaceChildren(`The description cannot be read: ${error}`));
