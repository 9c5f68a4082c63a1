// GitHub's published descriptions, from the packages in .cache/node-github.
//   node scripts/github-contract.cjs queries FILE...   validate GraphQL queries against GitHub's schema; exit 1 and say why when one is not valid
//   node scripts/github-contract.cjs slice OUT         write the paths slm calls, with what they refer to, as an OpenAPI file for Prism
const fs = require("fs");
const path = require("path");
const modules = path.join(__dirname, "../.cache/node-github/node_modules");

// Every REST path slm calls.
const PATHS = [
  ...["branches/{branch}", "commits/{ref}/check-runs", "commits/{commit_sha}/pulls", "check-runs", "check-runs/{check_run_id}", "pulls",
    "pulls/{pull_number}", "pulls/{pull_number}/reviews", "collaborators/{username}/permission", "issues/{issue_number}/comments",
    "issues/comments/{comment_id}", "issues", "issues/{issue_number}"].map((end) => `/repos/{owner}/{repo}/${end}`),
  "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/keys", "/repos/{owner}/{repo}/keys/{key_id}",
  "/app/installations/{installation_id}", "/user/memberships/orgs/{org}", "/orgs/{org}/secret-scanning/alerts",
  "/orgs/{org}/teams/{team_slug}/members",
  "/user", "/orgs/{org}", "/orgs/{org}/members", "/orgs/{org}/outside_collaborators", "/orgs/{org}/repos",
  "/orgs/{org}/actions/permissions", "/orgs/{org}/actions/permissions/workflow",
  "/orgs/{org}/actions/secrets", "/orgs/{org}/dependabot/secrets", "/orgs/{org}/codespaces/secrets",
  "/orgs/{org}/actions/secrets/public-key", "/orgs/{org}/actions/secrets/{secret_name}",
  "/orgs/{org}/actions/secrets/{secret_name}/repositories", "/orgs/{org}/actions/variables", "/orgs/{org}/actions/variables/{name}",
  ...["actions", "dependabot", "codespaces", "environments/{environment_name}"].map((kind) => `/repos/{owner}/{repo}/${kind}/secrets`),
  "/repos/{owner}/{repo}/actions/runs", "/repos/{owner}/{repo}/environments",
  "/repos/{owner}/{repo}/actions/runs/{run_id}", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
  "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
  ...["dependabot", "codespaces"].flatMap((kind) => ["/orgs/{org}", "/repos/{owner}/{repo}"].flatMap((owner) => [
    "secrets/public-key", "secrets/{secret_name}",
  ].map((end) => `${owner}/${kind}/${end}`))),
  ...["dependabot", "codespaces"].map((kind) => `/orgs/{org}/${kind}/secrets/{secret_name}/repositories`),
  ...["actions", "environments/{environment_name}"].flatMap((kind) => [
    "secrets/public-key", "secrets/{secret_name}", "variables", "variables/{name}",
  ].map((end) => `/repos/{owner}/{repo}/${kind}/${end}`)),
];

function queries(files) {
  const { buildSchema, parse, validate } = require(path.join(modules, "graphql"));
  const schema = buildSchema(fs.readFileSync(path.join(modules, "@octokit/graphql-schema/schema.graphql"), "utf8"), { assumeValidSDL: true });
  const wrong = files.flatMap((file) => validate(schema, parse(fs.readFileSync(file, "utf8"))).map((error) => `${file}: ${error.message}`));
  if (files.length === 0 || wrong.length > 0) throw new Error(wrong.join("\n") || "no queries");
}

function slice(out) {
  const all = JSON.parse(fs.readFileSync(path.join(modules, "@octokit/openapi/generated/ghec.json"), "utf8"));
  const paths = Object.fromEntries(PATHS.map((name) => {
    if (!all.paths[name]) throw new Error(`GitHub does not describe ${name}`);
    return [name, all.paths[name]];
  }));
  const components = {};
  const add = (value) => {
    if (value === null || typeof value !== "object") return;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== "$ref" || typeof inner !== "string") { add(inner); continue; }
      const [, , kind, name] = inner.split("/");
      components[kind] ??= {};
      if (components[kind][name] === undefined) { components[kind][name] = all.components[kind][name]; add(components[kind][name]); }
    }
    // Clients ask for GitHub's own media type; the file lists only the plain one, and Prism would answer 406.
    const json = value.content?.["application/json"];
    if (json) value.content["application/vnd.github+json"] ??= json, value.content["application/vnd.github.v3+json"] ??= json;
  };
  add(paths);
  fs.writeFileSync(out, JSON.stringify({ openapi: all.openapi, info: all.info, paths, components }));
}

const [verb, ...rest] = process.argv.slice(2);
try {
  if (verb === "queries") queries(rest);
  else if (verb === "slice") slice(rest[0]);
  else throw new Error("say `queries FILE...` or `slice OUT`");
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
