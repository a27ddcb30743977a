# Two stages: the first builds JavaScript with all packages in it, the second holds that and nothing else of ours.
# test/docker-steps.sh runs these steps without a container engine; it knows FROM, WORKDIR, ENV, COPY, RUN, USER, CMD.
# Run it read-only: docker run --read-only --tmpfs /tmp -v lotse-data:/data -v ./config:/config:ro lotse
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY deploy/build.ts ./deploy/
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim AS runtime
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY config ./config
COPY --from=build /app/dist ./dist

# What the process may write: /data (store, keys, audit), by a volume that belongs to uid 65532; /tmp where it is a tmpfs.
WORKDIR /data
USER 65532:65532
ENV LOTSE_CONFIG=/config/gateway.yaml
# The second listener of the configuration: operations: { port: 9090 }.
ENV LOTSE_READY=http://127.0.0.1:9090/readyz
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "fetch(process.env.LOTSE_READY).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Of the room that V8 would take for young objects, 128 MB, a quarter: docs/decisions/0007-what-a-sign-in-costs.md.
CMD ["node", "--max-semi-space-size=16", "/app/dist/main.js", "serve"]
