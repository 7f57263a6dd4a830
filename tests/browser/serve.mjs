// The folder by http, for this machine alone.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css",
  ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
  ".woff2": "font/woff2", ".ipynb": "application/json", ".ico": "image/x-icon",
};

function answer(root, request, response) {
  const path = normalize(join(root, decodeURIComponent(new URL(request.url, "http://x").pathname)));
  const found = path.startsWith(root + sep) && statSync(path, { throwIfNoEntry: false })?.isFile();
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  response.writeHead(found ? 200 : 404, { "Content-Type": type });
  if (found) createReadStream(path).pipe(response);
  else response.end();
}

export function serve(root) {
  const server = createServer((request, response) => answer(normalize(root), request, response));
  const ready = (done) => () => {
    const close = () => { server.closeAllConnections(); server.close(); };
    done({ base: `http://127.0.0.1:${server.address().port}/`, close });
  };
  return new Promise((done) => server.listen(0, "127.0.0.1", ready(done)));
}
