# The IPDR appliance as a container: docker build --tag ipdr-server .
# Builds with BuildKit and without. Nothing here depends on the time or the machine: two builds of one commit have the same layers, but for
# that of the compiled code, in which V8 leaves a few bytes to chance.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
# How npm reaches its registry, where it is not the public one. They stay in this stage, which no image has.
ARG NPM_CONFIG_REGISTRY
ARG NPM_CONFIG_CA
WORKDIR /build
COPY .npmrc package.json package-lock.json ./
# none of the dependencies needs its install script: their binaries come with them
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY LICENSE ./
COPY src src
COPY ui ui
COPY scripts/bundle scripts/bundle
COPY scripts/build-image.ts scripts/bundle.ts scripts/node-flags.ts scripts/
ARG REVISION=unknown
# every time and mode fixed, and whole directories copied into / later on: what COPY makes itself gets the time of the build
RUN mkdir -p /out/root/app/bin /out/compiled/app/dist /out/volume/data \
  && node scripts/build-image.ts /out/root/app "$REVISION" \
  && mv /out/root/app/dist/compiled /out/compiled/app/dist/ \
  && mv package.json LICENSE /out/root/app/ \
  && ln -s ../dist/ipdr.cjs /out/root/app/bin/ipdr \
  && chmod -R u=rwX,go=rX /out && chmod 755 /out/root/app/dist/ipdr.cjs && chmod 700 /out/volume/data \
  && find /out -exec touch --no-dereference --date=@0 {} +

FROM ${BASE} AS system
# What nothing here needs: package managers and what only they use, Perl. No layer of the base is in the image, or it would be there all the same.
RUN touch /tmp/began \
  && dpkg --purge --force-remove-essential --force-depends adduser apt libapt-pkg6.0 debian-archive-keyring gpgv libgnutls30 libhogweed6 libnettle8 \
    libidn2-0 libunistring2 libp11-kit0 libtasn1-6 libffi8 e2fsprogs libext2fs2 libcom-err2 libss2 logsave mount perl-base > /dev/null \
  && rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn* \
    /usr/local/include /usr/local/share /root/.npm /var/cache/ldconfig/* /var/lib/dpkg/*-old /var/log/dpkg.log \
  && find / -xdev -newer /tmp/began ! -path '/proc*' ! -path '/sys*' ! -path '/dev*' ! -path /tmp/began -exec touch --no-dereference --date=@0 {} + \
  && rm /tmp/began && touch --date=@0 /tmp

FROM scratch
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
COPY --from=system / /
COPY --from=build /out/root/ /
COPY --from=build /out/compiled/ /
COPY --from=build --chown=1000:1000 /out/volume/ /
# what is compiled beside that is kept for the next process; nobody else puts files there, and --tmpfs /tmp makes room where all else is read-only
ENV PATH=/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_COMPILE_CACHE=/tmp/compiled
USER 1000:1000
VOLUME /data
EXPOSE 5000 4001
# as ./data is the data directory by default
WORKDIR /
HEALTHCHECK --interval=3s --timeout=10s --start-period=30s --retries=10 CMD ["ipdr", "healthcheck", "--wait", "5s"]
# the bundle as a program: its first line, that of src/main.js, has the flags of Node
ENTRYPOINT ["/app/bin/ipdr"]
CMD ["server"]
