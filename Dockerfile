# The IPDR appliance as a container: docker build --tag ipdr-server .
# Builds with BuildKit and without. Nothing here depends on the time or the machine: two builds of one commit have the same layers.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
# How npm reaches its registry, where it is not the public one. They stay in this stage, which no image has.
ARG NPM_CONFIG_REGISTRY
ARG NPM_CONFIG_CA
WORKDIR /build
COPY .npmrc package.json package-lock.json ./
# none of the dependencies needs its install script: their binaries come with them
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY scripts/prune-modules scripts/
RUN scripts/prune-modules node_modules
COPY LICENSE ./
COPY src src
COPY ui ui
# nothing that was deleted is missed
RUN node --input-type=module --eval "import { globSync } from 'node:fs'; \
  import { leaveOutUnused } from '/build/src/lean-imports.ts'; leaveOutUnused(); \
  for (const file of globSync('src/**/*.ts')) await import('/build/' + file); \
  await (await import('/build/src/http/pages/pages.ts')).loadPages()"
ARG REVISION=unknown
# every time and mode fixed, and whole directories copied into / later on: what COPY makes itself gets the time of the build
RUN mkdir -p /out/root/app/bin /out/volume/data \
  && mv node_modules package.json LICENSE src ui /out/root/app/ \
  && printf '{"commit":"%s"}\n' "$REVISION" > /out/root/app/build.json \
  && ln -s ../src/main.js /out/root/app/bin/ipdr \
  && chmod -R u=rwX,go=rX /out && chmod 755 /out/root/app/src/main.js && chmod 700 /out/volume/data \
  && find /out -exec touch --no-dereference --date=@0 {} +

FROM ${BASE}
ARG REVISION=unknown
ARG VERSION=unknown
ARG BASE
ARG BASE_DIGEST=unknown
LABEL org.opencontainers.image.title="ipdr-server" \
  org.opencontainers.image.description="A container registry that is an IPFS node" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.base.name="${BASE}" \
  org.opencontainers.image.base.digest="${BASE_DIGEST}"
COPY --from=build /out/root/ /
COPY --from=build --chown=1000:1000 /out/volume/ /
# what was compiled is kept for the next process; nobody else puts files there, and --tmpfs /tmp makes room where all else is read-only
ENV PATH=/app/bin:$PATH NODE_COMPILE_CACHE=/tmp/compiled
USER 1000:1000
VOLUME /data
EXPOSE 5000 4001
# as ./data is the data directory by default
WORKDIR /
HEALTHCHECK --interval=3s --timeout=10s --start-period=30s --retries=10 CMD ["ipdr", "healthcheck", "--wait", "5s"]
# src/main.js as a program: its first line has the flags of Node
ENTRYPOINT ["/app/bin/ipdr"]
CMD ["server"]
