# One image for the four services; each container runs one of them:
#
#   node services/invoice/src/main.ts      (or subscription, dispatcher, gateway)
#
# It is built from the base image and the packages of the lockfile alone. What runs is Node, the C
# library and Billhook: no shell, no package manager, nothing that has to be written to.

FROM node:26.10.0-bookworm-slim AS manifests
WORKDIR /billhook
COPY . .
RUN find . -type f ! -name package.json ! -name 'pnpm-*.yaml' -delete


FROM node:26.10.0-bookworm-slim AS packages

# Node and the libraries that it loads, at the places where it looks for them.
RUN mkdir /runtime \
  && cp --parents --dereference /usr/local/bin/node \
    $(ldd /usr/local/bin/node | grep --only-matching '/[^ ]*') /runtime \
  && cp --parents /etc/passwd /etc/group /etc/nsswitch.conf /runtime \
  && mkdir --mode=1777 /runtime/tmp

# `--build-arg NPM_CONFIG_REGISTRY=...` names another registry than that of npm.
ARG NPM_CONFIG_REGISTRY

# Run again only when a manifest or the lockfile has changed.
WORKDIR /billhook
COPY --from=manifests /billhook .
RUN npx --yes "$(node -p 'require("./package.json").packageManager')" \
    install --frozen-lockfile --prod --no-optional \
    --filter '@billhook/invoice...' --filter '@billhook/subscription...' \
    --filter '@billhook/dispatcher...' --filter '@billhook/gateway...'


FROM scratch
COPY --from=packages /runtime /
WORKDIR /billhook
COPY --from=packages /billhook .
COPY . .
ENV NODE_ENV=production

# The user `node` of the base image, as a number: so Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080 50051 50052 50053
