// Modules of CommonJS as they are in node_modules, without a bundler: each is fetched when it is first
// asked for.

"use strict";

(() => {
  const modules = new Map();

  function fetched(path) {
    const request = new XMLHttpRequest();
    request.open("GET", path, false);
    request.send();
    return request.status === 200 ? request.responseText : undefined;
  }

  /// Where a module of this name is, seen from a folder, and its text.
  function found(name, folder) {
    let path = name.startsWith(".") ? new URL(name, `http://x${folder}/`).pathname : `/node_modules/${name}`;
    const own = !name.startsWith(".") && fetched(`${path}/package.json`);
    if (own) {
      const { browser, main } = JSON.parse(own);
      path = new URL((typeof browser === "string" && browser) || main || "index.js", `http://x${path}/`).pathname;
    }
    for (const end of ["", ".js", "/index.js", "index.js"]) {
      if (end === "" && !/\.js(on)?$/.test(path)) continue;
      const text = fetched(path + end);
      if (text !== undefined) return [path + end, text];
    }
    throw new Error(`no module ${name} in ${folder}`);
  }

  function load(name, folder) {
    const [path, text] = found(name, folder);
    if (!modules.has(path)) {
      const module = { exports: {} };
      modules.set(path, module);
      if (path.endsWith(".json")) {
        module.exports = JSON.parse(text);
      } else {
        const within = path.slice(0, path.lastIndexOf("/"));
        const body = new Function("module", "exports", "require", "process", text);
        body(module, module.exports, (it) => load(it, within), { env: {} });
      }
    }
    return modules.get(path).exports;
  }

  globalThis.require = (name) => load(name, "");
})();
