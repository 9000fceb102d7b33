// Works at one path with one of Curator's recipes, as lines of standard input tell, and says by lines
// what came of it; ends with standard input.

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.imps.CuratorFrameworkState;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicNumber;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.QueueSharder;
import org.apache.curator.framework.recipes.queue.QueueSharderPolicies;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

public final class Worker {
    private static final RetryNTimes RETRY = new RetryNTimes(100, 1);
    private static final PrintStream OUT =
        new PrintStream(new FileOutputStream(FileDescriptor.out), true);

    private final CuratorFramework client;
    private final String path;

    /** Does what a line says. */
    private interface Recipe {
        void does(String[] words) throws Exception;
    }

    private Worker(CuratorFramework client, String path) {
        this.client = client;
        this.path = path;
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client =
            CuratorFrameworkFactory.newClient(args[0], 30_000, 10_000, RETRY);
        client.start();
        client.blockUntilConnected();
        Recipe recipe = new Worker(client, args[2]).recipe(args[1]);
        BufferedReader told = new BufferedReader(new InputStreamReader(System.in));
        say("done");
        for (String line = told.readLine(); line != null; line = told.readLine()) {
            recipe.does(line.split(" "));
            say("done");
        }
        client.close();
        Runtime.getRuntime().halt(0);
    }

    private static void say(String what) {
        OUT.println(what);
    }

    private static void took(String item) {
        say("took " + System.currentTimeMillis() + " " + item);
    }

    private Recipe recipe(String name) throws Exception {
        switch (name) {
            case "long":
                return count(new DistributedAtomicLong(client, path, RETRY));
            case "integer":
                return count(new DistributedAtomicInteger(client, path, RETRY));
            case "shared-count":
                return sharedCount();
            case "queue":
                return queue();
            case "priority-queue":
                return priorityQueue();
            case "delay-queue":
                return delayQueue();
            case "id-queue":
                return idQueue();
            case "simple-queue":
                return simpleQueue();
            case "sharded-queue":
                return shardedQueue();
            case "barrier":
                return barrier();
            case "double-barrier":
                return doubleBarrier();
            case "node":
                return node();
            case "ttl-node":
                return ttlNode();
            case "group":
                return group();
            case "discovery":
                return discovery();
            default:
                throw new IllegalArgumentException(name);
        }
    }

    /** add COUNT: says each sum. */
    private <T> Recipe count(DistributedAtomicNumber<T> number) {
        return words -> {
            for (int i = 0; i < Integer.parseInt(words[1]); i++) {
                AtomicValue<T> value = number.increment();
                while (!value.succeeded()) {
                    value = number.increment();
                }
                say("sum " + value.postValue());
            }
        };
    }

    /** add COUNT, as above; await NUMBER: until that is what its watch has told. */
    private Recipe sharedCount() throws Exception {
        SharedCount number = new SharedCount(client, path, 0);
        number.start();
        return words -> {
            int count = Integer.parseInt(words[1]);
            if (words[0].equals("await")) {
                while (number.getCount() != count) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
                return;
            }
            for (int i = 0; i < count; i++) {
                VersionedValue<Integer> before = number.getVersionedValue();
                while (!number.trySetCount(before, before.getValue() + 1)) {
                    before = number.getVersionedValue();
                }
                say("sum " + (before.getValue() + 1));
            }
        };
    }

    /** put WORD COUNT, items of two each; consume: from now on. */
    private Recipe queue() throws Exception {
        DistributedQueue<String> putting = builder(null).buildQueue();
        putting.start();
        return words -> {
            if (words[0].equals("consume")) {
                builder(new Consumer()).buildQueue().start();
                return;
            }
            List<String> items = items(words);
            for (int i = 0; i < items.size(); i += 2) {
                Iterator<String> two = items.subList(i, Math.min(i + 2, items.size())).iterator();
                putting.putMulti(() -> two.hasNext() ? two.next() : null);
            }
        };
    }

    private Recipe priorityQueue() throws Exception {
        DistributedPriorityQueue<String> putting = builder(null).buildPriorityQueue(0);
        putting.start();
        return words -> {
            if (words[0].equals("consume")) {
                builder(new Consumer()).buildPriorityQueue(0).start();
                return;
            }
            List<String> items = items(words);
            for (int i = 0; i < items.size(); i++) {
                putting.put(items.get(i), i * 7 % 11 - 5);
            }
        };
    }

    /** Of each item, when it is due stands behind its name. */
    private Recipe delayQueue() throws Exception {
        DistributedDelayQueue<String> putting = builder(null).buildDelayQueue();
        putting.start();
        return words -> {
            if (words[0].equals("consume")) {
                builder(new Consumer()).buildDelayQueue().start();
                return;
            }
            List<String> items = items(words);
            for (int i = 0; i < items.size(); i++) {
                long due = System.currentTimeMillis() + i * 7 % 11 * 20;
                putting.put(items.get(i) + "@" + due, due);
            }
        };
    }

    /** Also: remove ID, which says how many there were. */
    private Recipe idQueue() throws Exception {
        DistributedIdQueue<String> putting = builder(null).buildIdQueue();
        putting.start();
        return words -> {
            if (words[0].equals("consume")) {
                builder(new Consumer()).buildIdQueue().start();
            } else if (words[0].equals("remove")) {
                say("removed " + putting.remove(words[1]));
            } else {
                for (String item : items(words)) {
                    putting.put(item, item);
                }
            }
        };
    }

    /** put WORD COUNT, consume; shards COUNT: waits until it knows so many. */
    private Recipe shardedQueue() throws Exception {
        QueueSharder<String, DistributedQueue<String>> putting = sharder(null);
        return words -> {
            if (words[0].equals("consume")) {
                sharder(new Consumer());
            } else if (words[0].equals("shards")) {
                while (putting.getShardQty() != Integer.parseInt(words[1])) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
            } else {
                for (String item : items(words)) {
                    putting.getQueue().put(item);
                }
            }
        };
    }

    private QueueSharder<String, DistributedQueue<String>> sharder(QueueConsumer<String> consumer)
        throws Exception {
        QueueSharderPolicies policies = QueueSharderPolicies.builder()
            .newQueueThreshold(20)
            .thresholdCheckMs(5)
            .maxQueues(4)
            .build();
        QueueSharder<String, DistributedQueue<String>> sharder = new QueueSharder<>(
            client,
            (client, shard) -> QueueBuilder.builder(client, consumer, new Text(), shard)
                .lockPath(path + "-locks" + shard.substring(path.length()))
                .putInBackground(false)
                .buildQueue(),
            path,
            path + "-leaders",
            policies);
        sharder.start();
        return sharder;
    }

    private Recipe simpleQueue() {
        SimpleDistributedQueue queue = new SimpleDistributedQueue(client, path);
        return words -> {
            if (words[0].equals("consume")) {
                Thread consumer = new Thread(() -> {
                    try {
                        while (true) {
                            took(new String(queue.take()));
                        }
                    } catch (Exception error) {
                        if (client.getState() == CuratorFrameworkState.STARTED) {
                            say("failed " + error);
                        }
                    }
                });
                consumer.setDaemon(true);
                consumer.start();
                return;
            }
            for (String item : items(words)) {
                queue.offer(item.getBytes());
            }
        };
    }

    private static List<String> items(String[] words) {
        List<String> items = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(words[2]); i++) {
            items.add(words[1] + "-" + i);
        }
        return items;
    }

    private QueueBuilder<String> builder(QueueConsumer<String> consumer) {
        return QueueBuilder.builder(client, consumer, new Text(), path)
            .lockPath(path + "-locks")
            .putInBackground(false);
    }

    /** close, open, and wait, which says whether it is closed then. */
    private Recipe barrier() {
        DistributedBarrier barrier = new DistributedBarrier(client, path);
        return words -> {
            if (words[0].equals("close")) {
                barrier.setBarrier();
            } else if (words[0].equals("open")) {
                barrier.removeBarrier();
            } else {
                barrier.waitOnBarrier();
                say("closed " + (client.checkExists().forPath(path) != null));
            }
        };
    }

    /** enter ROUND MEMBERS, and leave; each says how many are there then. */
    private Recipe doubleBarrier() {
        DistributedDoubleBarrier[] barrier = new DistributedDoubleBarrier[1];
        String[] round = new String[1];
        return words -> {
            if (words[0].equals("enter")) {
                round[0] = path + "/" + words[1];
                int members = Integer.parseInt(words[2]);
                barrier[0] = new DistributedDoubleBarrier(client, round[0], members);
                barrier[0].enter();
            } else {
                barrier[0].leave();
            }
            say("present " + members(round[0]));
        };
    }

    private long members(String round) throws Exception {
        try {
            List<String> present = client.getChildren().forPath(round);
            return present.stream().filter(name -> !name.equals("ready")).count();
        } catch (KeeperException.NoNodeException error) {
            return 0;
        }
    }

    /** keep DATA: from now on; stands: waits until it was made, or written to; go. */
    private Recipe node() {
        PersistentNode[] node = new PersistentNode[1];
        return words -> {
            if (words[0].equals("keep")) {
                byte[] data = words[1].getBytes();
                node[0] = new PersistentNode(client, CreateMode.EPHEMERAL, false, path, data);
                node[0].start();
            } else if (words[0].equals("stands")) {
                node[0].waitForInitialCreate(60, TimeUnit.SECONDS);
            } else {
                node[0].close();
            }
        };
    }

    /** keep MILLISECONDS DATA: from now on; go: keeps it no more. */
    private Recipe ttlNode() {
        PersistentTtlNode[] node = new PersistentTtlNode[1];
        return words -> {
            if (words[0].equals("keep")) {
                long ttl = Long.parseLong(words[1]);
                node[0] = new PersistentTtlNode(client, path, ttl, words[2].getBytes());
                node[0].start();
                node[0].waitForInitialCreate(60, TimeUnit.SECONDS);
            } else {
                node[0].close();
            }
        };
    }

    /** join ID PAYLOAD; sees ID=PAYLOAD,...: until these are there, and no others; leave. */
    private Recipe group() {
        GroupMember[] member = new GroupMember[1];
        return words -> {
            if (words[0].equals("join")) {
                member[0] = new GroupMember(client, path, words[1], words[2].getBytes());
                member[0].start();
            } else if (words[0].equals("sees")) {
                while (!told(member[0].getCurrentMembers()).equals(words[1])) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
            } else {
                member[0].close();
            }
        };
    }

    private static String told(Map<String, byte[]> members) {
        return new TreeMap<>(members).entrySet().stream()
            .map(member -> member.getKey() + "=" + new String(member.getValue()))
            .collect(Collectors.joining(","));
    }

    /** What an instance says of itself, where that is no text. */
    public static final class Details {
        public String zone;
        public int weight;

        @Override
        public String toString() {
            return zone + "/" + weight;
        }
    }

    /**
     * register ID PORT TYPE PAYLOAD, where a payload with a / is an object; unregister ID; await
     * COUNT: until its cache knows so many, and says each; read ID: says what it asks for.
     */
    private Recipe discovery() throws Exception {
        ServiceDiscovery<Object> discovery = ServiceDiscoveryBuilder.builder(Object.class)
            .client(client)
            .basePath(path)
            .serializer(new JsonInstanceSerializer<>(Object.class, false))
            .build();
        discovery.start();
        ServiceCache<Object> cache = discovery.serviceCacheBuilder().name("billing").build();
        cache.start();
        Map<String, ServiceInstance<Object>> ours = new HashMap<>();
        return words -> {
            switch (words[0]) {
                case "register":
                    ours.put(words[1], instance(words));
                    discovery.registerService(ours.get(words[1]));
                    return;
                case "unregister":
                    discovery.unregisterService(ours.remove(words[1]));
                    return;
                case "await":
                    while (cache.getInstances().size() != Integer.parseInt(words[1])) {
                        TimeUnit.MILLISECONDS.sleep(1);
                    }
                    cache.getInstances().stream().map(Worker::told).sorted().forEach(Worker::say);
                    return;
                default:
                    say(told(discovery.queryForInstance("billing", words[1])));
            }
        };
    }

    private static ServiceInstance<Object> instance(String[] words) throws Exception {
        Object payload = words[4];
        if (words[4].contains("/")) {
            Details details = new Details();
            details.zone = words[4].split("/")[0];
            details.weight = Integer.parseInt(words[4].split("/")[1]);
            payload = details;
        }
        return ServiceInstance.builder()
            .name("billing")
            .id(words[1])
            .address("10.0.0.1")
            .port(Integer.parseInt(words[2]))
            .sslPort(8443)
            .registrationTimeUTC(1_700_000_000_000L)
            .serviceType(ServiceType.valueOf(words[3]))
            .payload(payload)
            .uriSpec(new UriSpec("{scheme}://{address}:{ssl-port}/{id}"))
            .enabled(!words[1].equals("resting"))
            .build();
    }

    private static String told(ServiceInstance<Object> it) {
        return String.join(
            " ", "instance", it.getName(), it.getId(), it.getAddress(), "" + it.getPort(),
            "" + it.getSslPort(), "" + it.getRegistrationTimeUTC(), "" + it.getServiceType(),
            "" + it.getPayload(), it.buildUriSpec(), it.isEnabled() ? "enabled" : "resting");
    }

    private static final class Text implements QueueSerializer<String> {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes();
        }

        @Override
        public String deserialize(byte[] item) {
            return new String(item);
        }
    }

    private static final class Consumer implements QueueConsumer<String> {
        @Override
        public void consumeMessage(String item) {
            took(item);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
            // The connection is never lost.
        }
    }
}
