// Compress what was built, once, so that the gateway need not: a .br and a .gz beside each text.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = new URL("./dist/assets/", import.meta.url);
for (const name of readdirSync(folder)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const text = readFileSync(new URL(name, folder));
  if (text.length < 1024) continue;
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
  writeFileSync(new URL(`${name}.br`, folder), brotliCompressSync(text, quality));
  writeFileSync(new URL(`${name}.gz`, folder), gzipSync(text, { level: 9 }));
}
