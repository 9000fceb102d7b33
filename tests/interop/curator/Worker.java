// Works at one path with one of Curator's recipes, as lines of standard input tell, and says by lines
// what came of it; ends with standard input.

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.imps.CuratorFrameworkState;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicNumber;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
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
            case "barrier":
                return barrier();
            case "double-barrier":
                return doubleBarrier();
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
