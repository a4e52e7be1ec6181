import type { CodegenConfig } from "@graphql-codegen/cli";

// The types of every document, from the schema that the gateway has committed. What is generated is not committed.
const config: CodegenConfig = {
  schema: process.env["HEADWATER_SCHEMA"] ?? "../gateway/schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/api/generated/**"],
  generates: {
    "src/api/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string",
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: {
          timestamptz: "string",
          interval: "string",
          uuid: "string",
          jsonb: "unknown",
          bigint: "number",
          JSON: "unknown",
          UUID: "string",
          DateTime: "string",
        },
      },
    },
  },
};

export default config;
